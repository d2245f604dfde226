// Products of panels of a block format with quantized tokens (block_table.h): slab by slab of K, some
// panels of it at once.

// Few tokens wait for memory: more panels at once are more lines on their way. Many want the slabs
// in the L1 cache.
constexpr int64_t kFewTokens = 8;
constexpr int64_t panels_at_once(int64_t tokens) {
  return tokens <= kFewTokens ? kSlabPanels : kSlabPanels / 2;
}

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

template <class Slabs, int kDType>
void by_slabs(const PanelList& panels, int64_t cols, const std::byte* const* rows, int64_t tokens,
              float* out, int64_t ld_out) {
  using K = KindOf<kDType>;
  TokenSlab gathered;
  WeightSlab weights[kSlabPanels];
  const int64_t at_once = panels_at_once(tokens);
  const auto some_from = [at_once](int64_t panel, int64_t count) {
    return count - panel < at_once ? count - panel : at_once;
  };
  Slabs::template begin<K>(gathered, tokens);
  for (int64_t first = 0; first < cols / kSpan; first += kSlabSpans) {
    const int64_t left = cols / kSpan - first;
    const int64_t spans = left < kSlabSpans ? left : kSlabSpans;
    gather<Slabs, K>(rows, tokens, cols, first, spans, gathered);
    for (int64_t panel = 0; panel < panels.count; panel += at_once) {
      const int64_t some = some_from(panel, panels.count);
      for (int64_t p = 0; p < some; ++p)
        fill_slab<Slabs, kDType>(panels.at[panel + p], cols, first, spans, weights[p]);
      Ahead next;
      if (panel + some < panels.count) {
        next = send_ahead<kDType>(panels.at + panel + some, some_from(panel + some, panels.count),
                                  cols, first);
      } else if (left > kSlabSpans) {
        next = send_ahead<kDType>(panels.at, some_from(0, panels.count), cols, first + kSlabSpans);
      } else {
        next = send_ahead<kDType>(panels.next, some_from(0, panels.next_count), cols, 0);
      }
      Slabs::template multiply<K>(weights, some, gathered, tokens, spans,
                                  out + panel * kPanelRows, ld_out, first != 0, next);
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
  by_slabs<VectorSlabs, kDType>(panels, cols, rows, tokens, out, ld_out);
}
