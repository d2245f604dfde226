// Products of panels of a block format with quantized tokens (block_table.h): slab by slab of K, some
// panels of it at once.

// Few tokens wait for memory: more panels at once are more lines on their way. Many want the slabs
// in the L1 cache.
constexpr int64_t kFewTokens = 8;
constexpr int64_t kPanelsAtOnce = kSlabPanels / 2;

// Sends for the slabs from `first_span` on of the next `count` panels, their scales at once.
template <int kDType>
Ahead send_ahead(const std::byte* const* panels, int64_t count, int64_t cols, int64_t first_span) {
  constexpr int64_t kSpanBytes = Format<kDType>::kTraits.code_bits * kChunkBytes;
  Ahead next;
  next.panels = count;
  next.lines = kSlabSpans * kSpanBytes / 64;
  for (int64_t p = 0; p < count; ++p) {
    next.codes[p] = panels[p] + first_span * kSpanBytes;
    prefetch_scales<kDType>(panels[p], cols, first_span);
  }
  return next;
}

// One slab of some panels, while the lines of `next` are sent for.
template <class Slabs, int kDType>
void multiply_slab(const std::byte* const* panels, int64_t count, int64_t cols, int64_t first_span,
                   const TokenSlab& gathered, int64_t tokens, WeightSlab* weights, Ahead next,
                   float* out, int64_t ld_out) {
  using K = KindOf<kDType>;
  const int64_t left = cols / kSpan - first_span;
  const int64_t spans = left < kSlabSpans ? left : kSlabSpans;
  next.spread(count * spans + Slabs::template steps<K>(count, tokens, spans));
  for (int64_t p = 0; p < count; ++p)
    fill_slab<Slabs, kDType>(panels[p], cols, first_span, spans, weights[p], next);
  Slabs::template multiply<K>(weights, count, gathered, tokens, spans, out, ld_out,
                              first_span != 0, next);
}

// Few tokens: some panels from end to end, so that memory is read in long runs.
template <class Slabs, int kDType>
void by_panels(const PanelList& panels, int64_t cols, const std::byte* const* rows, int64_t tokens,
               float* out, int64_t ld_out) {
  TokenSlab gathered;
  WeightSlab weights[kSlabPanels];
  const auto some = [](int64_t count) { return count < kSlabPanels ? count : kSlabPanels; };
  for (int64_t panel = 0; panel < panels.count; panel += kSlabPanels) {
    const int64_t count = some(panels.count - panel);
    const std::byte* const* at = panels.at + panel;
    for (int64_t first = 0; first < cols / kSpan; first += kSlabSpans) {
      const int64_t left = cols / kSpan - first;
      gather<Slabs, KindOf<kDType>>(rows, tokens, cols, first, left < kSlabSpans ? left : kSlabSpans,
                                    gathered);
      const Ahead next =
          left > kSlabSpans ? send_ahead<kDType>(at, count, cols, first + kSlabSpans)
          : panel + count < panels.count
              ? send_ahead<kDType>(at + count, some(panels.count - panel - count), cols, 0)
              : send_ahead<kDType>(panels.next, some(panels.next_count), cols, 0);
      multiply_slab<Slabs, kDType>(at, count, cols, first, gathered, tokens, weights, next,
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
  const auto some = [](int64_t count) { return count < kPanelsAtOnce ? count : kPanelsAtOnce; };
  Slabs::template begin<KindOf<kDType>>(gathered, tokens);
  for (int64_t first = 0; first < cols / kSpan; first += kSlabSpans) {
    const int64_t left = cols / kSpan - first;
    gather<Slabs, KindOf<kDType>>(rows, tokens, cols, first, left < kSlabSpans ? left : kSlabSpans,
                                  gathered);
    for (int64_t panel = 0; panel < panels.count; panel += kPanelsAtOnce) {
      const int64_t count = some(panels.count - panel);
      const std::byte* const* at = panels.at + panel;
      const Ahead next =
          panel + count < panels.count
              ? send_ahead<kDType>(at + count, some(panels.count - panel - count), cols, first)
          : left > kSlabSpans
              ? send_ahead<kDType>(panels.at, some(panels.count), cols, first + kSlabSpans)
              : send_ahead<kDType>(panels.next, some(panels.next_count), cols, 0);
      multiply_slab<Slabs, kDType>(at, count, cols, first, gathered, tokens, weights, next,
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
  return {slab_tokens(K::kMaxCode), kTilePanels,
          kFewTokens,               kSlabPanels,
          kPanelsAtOnce,            kSlabCols,
          has_matrix_unit<K>() ? kTokensForMatrixUnit : 0};
}
