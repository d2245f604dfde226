// Products of panels of a block format with quantized tokens (block_table.h): slab by slab of K,
// some panels of it at once.

// Few tokens wait for memory, and read it in long runs. Many leave less of the L1 cache to what is
// sent for.
template <class K>
constexpr int64_t kFewTokens = 2 * kStoredTile<K>;
constexpr int64_t kManyTokens = 24;

// The matrix unit waits longer for sums that the L1 cache has no room for.
constexpr int64_t kListPanelsOfMatrixUnit = 8;

// How panels go by: so many are sent for together, and taken apart in so many places in turn.
struct SomeTokens {
  static constexpr bool kMany = false;
  static constexpr int64_t kPanelsAhead = kSlabPanels;
  static constexpr int kTurns = 2;
};
struct ManyTokens {
  static constexpr bool kMany = true;
  static constexpr int64_t kPanelsAhead = kSlabPanels / 2;
  static constexpr int kTurns = 1;
};

// A slab of `count` panels.
struct SlabPlace {
  const std::byte* const* panels;
  int64_t count;
  int64_t first_span;

  SLUICE_INLINE int64_t spans(int64_t cols) const {
    const int64_t left = cols / kSpan - first_span;
    return left < kSlabSpans ? left : kSlabSpans;
  }
};

// The lines of `place`, to be sent for; those of its scales are at once.
template <int kDType>
Ahead send_ahead(const SlabPlace& place, int64_t cols) {
  constexpr int64_t kSpanBytes = Format<kDType>::kTraits.code_bits * kChunkBytes;
  constexpr int64_t kLines = kSlabSpans * kSpanBytes / 64;
  static_assert(kLines % kStreams == 0);
  Ahead next;
  if (place.count == 0) return next;
  const int64_t parts = kStreams / place.count;
  next.rounds = kLines / parts;
  for (int64_t i = 0; i < kStreams; ++i) {
    // Of three panels the last stands there twice.
    const int64_t p = i / parts < place.count ? i / parts : place.count - 1;
    next.codes[i] = place.panels[p] + place.first_span * kSpanBytes + i % parts * next.rounds * 64;
  }
  for (int64_t p = 0; p < place.count; ++p)
    prefetch_scales<kDType>(place.panels[p], cols, place.first_span);
  return next;
}

// Panels taken apart, in turn: those that were multiplied last may still be wanted.
template <class Slabs>
struct WeightSlabs {
  WeightSlab of[Slabs::kTurns][Slabs::kPanelsAtOnce];
  int turn = 0;
};

// The slab at `here`, while the lines of that at `after` are sent for.
template <int kDType, class Slabs>
void multiply_slab(Slabs& slabs, const SlabPlace& here, const SlabPlace& after, int64_t cols,
                   WeightSlabs<Slabs>& weights, float* out, int64_t ld_out) {
  const int64_t spans = here.spans(cols);
  Ahead next = send_ahead<kDType>(after, cols);
  // With some tokens the products take longer than taking apart: more is sent for beside them.
  const int64_t send_every = slabs.tokens() > 2 ? 4 : 1;
  next.spread(here.count * ((spans + send_every - 1) / send_every) +
              slabs.steps(here.count, spans));
  for (int64_t panel = 0; panel < here.count; panel += Slabs::kPanelsAtOnce) {
    const int64_t left = here.count - panel;
    const int64_t some = left < Slabs::kPanelsAtOnce ? left : Slabs::kPanelsAtOnce;
    WeightSlab* const apart = weights.of[weights.turn];
    for (int64_t p = 0; p < some; ++p)
      fill_slab<Slabs, kDType>(here.panels[panel + p], cols, here.first_span, spans, apart[p], next,
                               send_every);
    slabs.multiply(apart, some, spans, out + panel * kPanelRows, ld_out, here.first_span != 0,
                   next);
    weights.turn = (weights.turn + 1) % Slabs::kTurns;
  }
}

// Up to kAhead panels of the list from `panel` on; past its end those that the caller has next.
template <int64_t kAhead>
SLUICE_INLINE SlabPlace place_at(const PanelList& panels, int64_t panel, int64_t first_span) {
  if (panel >= panels.count) {
    return {panels.next, panels.next_count < kAhead ? panels.next_count : kAhead, 0};
  }
  const int64_t left = panels.count - panel;
  return {panels.at + panel, left < kAhead ? left : kAhead, first_span};
}

// More tokens: a slab of all panels, whose tokens are gathered once.
template <class Slabs, int kDType>
void by_slabs(const PanelList& panels, int64_t cols, const std::byte* const* rows, int64_t tokens,
              float* out, int64_t ld_out) {
  constexpr int64_t kAhead = Slabs::kPanelsAhead;
  TokenSlab gathered;
  WeightSlabs<Slabs> weights;
  Slabs slabs(gathered, tokens);
  for (int64_t first = 0; first < cols / kSpan; first += kSlabSpans) {
    const bool last_slab = first + kSlabSpans >= cols / kSpan;
    gather<Slabs>(rows, tokens, cols, first, place_at<kAhead>(panels, 0, first).spans(cols),
                  gathered);
    for (int64_t panel = 0; panel < panels.count; panel += kAhead) {
      const SlabPlace here = place_at<kAhead>(panels, panel, first);
      const bool last_panels = panel + kAhead >= panels.count;
      const SlabPlace after = last_panels && !last_slab
                                  ? place_at<kAhead>(panels, 0, first + kSlabSpans)
                                  : place_at<kAhead>(panels, panel + kAhead, first);
      multiply_slab<kDType>(slabs, here, after, cols, weights, out + panel * kPanelRows, ld_out);
    }
    slabs.finish(ld_out, first != 0);
  }
}
