// Products of panels of a block format with quantized tokens (block_table.h): which tile when.

using DirectTile = void (*)(const std::byte*, int64_t, const std::byte* const*, float*, int64_t);

template <int kDType, int T>
constexpr void fill_direct(DirectTile (&tiles)[kMaxBlockTile + 1]) {
  if constexpr (T > 0) {
    tiles[T] = &direct_tile<kDType, T>;
    fill_direct<kDType, T - 1>(tiles);
  }
}

template <int kDType>
struct DirectTiles {
  static constexpr int kTokens = direct_tokens(Format<kDType>::kMaxCode);
  struct Table {
    DirectTile of[kMaxBlockTile + 1];
  };
  static constexpr Table make() {
    Table table{};
    fill_direct<kDType, kTokens>(table.of);
    return table;
  }
  static constexpr Table kTable = make();
};

// The panels after those from `panel` on: in the same slab of K, else the first of the next.
template <int kDType>
Ahead find_next(const std::byte* const* panels, int64_t count, int64_t cols, int64_t panel,
                int64_t first_span) {
  constexpr int64_t kSpanBytes = Format<kDType>::kTraits.code_bits * kChunkBytes;
  const bool same_slab = panel + kSlabPanels < count;
  const int64_t next_panel = same_slab ? panel + kSlabPanels : 0;
  const int64_t next_span = same_slab ? first_span : first_span + kSlabSpans;
  Ahead next;
  if (next_span >= cols / kSpan) return next;
  next.lines = kSlabSpans * kSpanBytes / 64;
  for (int64_t p = 0; p < kSlabPanels; ++p) {
    const std::byte* its = panels[next_panel + p < count ? next_panel + p : count - 1];
    next.codes[p] = its + next_span * kSpanBytes;
    prefetch_scales<kDType>(its, cols, next_span);
  }
  return next;
}

template <int kDType>
void by_slabs(const std::byte* const* panels, int64_t count, int64_t cols,
              const std::byte* const* rows, int64_t tokens, float* out, int64_t ld_out) {
  using K = KindOf<kDType>;
  TokenSlab gathered;
  WeightSlab weights[kSlabPanels];
  prepare_slabs<K>(gathered, tokens);
  for (int64_t first = 0; first < cols / kSpan; first += kSlabSpans) {
    const int64_t left = cols / kSpan - first;
    const int64_t spans = left < kSlabSpans ? left : kSlabSpans;
    gather<K>(rows, tokens, cols, first, spans, gathered);
    for (int64_t panel = 0; panel < count; panel += kSlabPanels) {
      const int64_t some = count - panel < kSlabPanels ? count - panel : kSlabPanels;
      for (int64_t p = 0; p < some; ++p)
        fill_slab<kDType>(panels[panel + p], cols, first, spans, weights[p]);
      Ahead next = find_next<kDType>(panels, count, cols, panel, first);
      multiply_slabs<K>(weights, some, gathered, tokens, spans, out + panel * kPanelRows, ld_out,
                        first != 0, next);
    }
  }
  done_with_slabs();
}

template <int kDType>
void block_panels(const std::byte* const* panels, int64_t count, int64_t cols,
                  const std::byte* const* rows, int64_t tokens, float* out, int64_t ld_out) {
  using Direct = DirectTiles<kDType>;
  if (tokens > Direct::kTokens) {
    return by_slabs<kDType>(panels, count, cols, rows, tokens, out, ld_out);
  }
  for (int64_t p = 0; p < count; ++p)
    Direct::kTable.of[tokens](panels[p], cols, rows, out + p * kPanelRows, ld_out);
}
