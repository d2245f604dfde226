// Products of panels of a block format with quantized tokens (block_table.h): slab by slab of K,
// some panels of it at once.

// Few tokens wait for memory: more panels at once are more lines on their way. Many want the slabs
// in the L1 cache.
constexpr int64_t kFewTokens = 8;
constexpr int64_t kPanelsAtOnce = kSlabPanels / 2;

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
  Ahead next;
  next.panels = place.count;
  next.lines = kSlabSpans * kSpanBytes / 64;
  for (int64_t p = 0; p < place.count; ++p) {
    next.codes[p] = place.panels[p] + place.first_span * kSpanBytes;
    prefetch_scales<kDType>(place.panels[p], cols, place.first_span);
  }
  return next;
}

// The slab at `here`, while the lines of that at `after` are sent for.
template <class Slabs, int kDType>
void multiply_slab(const SlabPlace& here, const SlabPlace& after, int64_t cols,
                   const TokenSlab& gathered, int64_t tokens, WeightSlab* weights, float* out,
                   int64_t ld_out) {
  using K = KindOf<kDType>;
  const int64_t spans = here.spans(cols);
  Ahead next = send_ahead<kDType>(after, cols);
  next.spread(here.count * spans + Slabs::template steps<K>(here.count, tokens, spans));
  for (int64_t p = 0; p < here.count; ++p)
    fill_slab<Slabs, kDType>(here.panels[p], cols, here.first_span, spans, weights[p], next);
  Slabs::template multiply<K>(weights, here.count, gathered, tokens, spans, out, ld_out,
                              here.first_span != 0, next);
}

// Up to kAtOnce panels of the list from `panel` on; past its end those that the caller has next.
template <int64_t kAtOnce>
SLUICE_INLINE SlabPlace place_at(const PanelList& panels, int64_t panel, int64_t first_span) {
  if (panel >= panels.count) {
    return {panels.next, panels.next_count < kAtOnce ? panels.next_count : kAtOnce, 0};
  }
  const int64_t left = panels.count - panel;
  return {panels.at + panel, left < kAtOnce ? left : kAtOnce, first_span};
}

// Few tokens: some panels from end to end, so that memory is read in long runs.
template <class Slabs, int kDType>
void by_panels(const PanelList& panels, int64_t cols, const std::byte* const* rows, int64_t tokens,
               float* out, int64_t ld_out) {
  TokenSlab gathered;
  WeightSlab weights[kSlabPanels];
  for (int64_t panel = 0; panel < panels.count; panel += kSlabPanels) {
    for (int64_t first = 0; first < cols / kSpan; first += kSlabSpans) {
      const SlabPlace here = place_at<kSlabPanels>(panels, panel, first);
      const bool last = first + kSlabSpans >= cols / kSpan;
      const SlabPlace after = last ? place_at<kSlabPanels>(panels, panel + kSlabPanels, 0)
                                   : place_at<kSlabPanels>(panels, panel, first + kSlabSpans);
      gather<Slabs, KindOf<kDType>>(rows, tokens, cols, first, here.spans(cols), gathered);
      multiply_slab<Slabs, kDType>(here, after, cols, gathered, tokens, weights,
                                   out + panel * kPanelRows, ld_out);
    }
  }
}

// Many tokens: a slab of all panels, whose tokens are gathered once.
template <class Slabs, int kDType>
void by_slabs(const PanelList& panels, int64_t cols, const std::byte* const* rows, int64_t tokens,
              float* out, int64_t ld_out) {
  TokenSlab gathered;
  WeightSlab weights[kPanelsAtOnce];
  Slabs::template begin<KindOf<kDType>>(gathered, tokens);
  for (int64_t first = 0; first < cols / kSpan; first += kSlabSpans) {
    const bool last_slab = first + kSlabSpans >= cols / kSpan;
    gather<Slabs, KindOf<kDType>>(rows, tokens, cols, first,
                                  place_at<kPanelsAtOnce>(panels, 0, first).spans(cols), gathered);
    for (int64_t panel = 0; panel < panels.count; panel += kPanelsAtOnce) {
      const SlabPlace here = place_at<kPanelsAtOnce>(panels, panel, first);
      const bool last_panels = panel + kPanelsAtOnce >= panels.count;
      const SlabPlace after = last_panels && !last_slab
                                  ? place_at<kPanelsAtOnce>(panels, 0, first + kSlabSpans)
                                  : place_at<kPanelsAtOnce>(panels, panel + kPanelsAtOnce, first);
      multiply_slab<Slabs, kDType>(here, after, cols, gathered, tokens, weights,
                                   out + panel * kPanelRows, ld_out);
    }
  }
  Slabs::end();
}

template <int kDType>
void block_panels(const PanelList& panels, int64_t cols, const std::byte* const* rows,
                  int64_t tokens, float* out, int64_t ld_out) {
  if constexpr (has_matrix_unit<KindOf<kDType>>()) {
    if (tokens >= kTokensForMatrixUnit)
      return by_slabs<MatrixSlabs, kDType>(panels, cols, rows, tokens, out, ld_out);
  }
  if (tokens > kFewTokens)
    return by_slabs<VectorSlabs, kDType>(panels, cols, rows, tokens, out, ld_out);
  by_panels<VectorSlabs, kDType>(panels, cols, rows, tokens, out, ld_out);
}

template <int kDType>
constexpr BlockTiles tiles_of() {
  using K = KindOf<kDType>;
  return {slab_tokens(K::kMaxCode),
          kTilePanels,
          kFewTokens,
          kSlabPanels,
          kPanelsAtOnce,
          kSlabCols,
          has_matrix_unit<K>() ? kTokensForMatrixUnit : 0};
}
