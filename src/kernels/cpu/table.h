// The table of one ISA, from what was included before it.

// How many tokens go with how many panels, so that accumulators, weights and one activation fill
// the registers; a few tokens take more panels, to keep as many chains of additions in flight.
// kTiles[i] holds the largest number of tokens for 2^i panels.
template <class Weights, int P, int kLast, int T = 1>
constexpr void fill(GemmTile (&row)[kMaxTileTokens + 1]) {
  if constexpr (T <= kLast) {
    row[T] = &gemm_tile<Weights, P, T>;
    fill<Weights, P, kLast, T + 1>(row);
  }
}

template <class Weights>
constexpr void fill_dtype(GemmTile (&sizes)[kTilePanelSizes][kMaxTileTokens + 1]) {
  fill<Weights, 1, kTiles[0]>(sizes[0]);
  fill<Weights, 2, kTiles[1]>(sizes[1]);
  fill<Weights, 4, kTiles[2]>(sizes[2]);
}

template <int P, int kLast, int T = 1>
constexpr void fill_dots(GemmTile (&row)[kMaxTileTokens + 1]) {
  if constexpr (T <= kLast) {
    row[T] = &dot_tile<P, T>;
    fill_dots<P, kLast, T + 1>(row);
  }
}

constexpr OpTable make_table() {
  OpTable table{};
  table.isa = kIsa;
  table.blocks = &kBlockTable;
  table.max_tile_tokens = kTiles[0];
  fill_dtype<F32Weights>(table.gemm[0]);
  fill_dtype<F16Weights>(table.gemm[1]);
  fill_dtype<Bf16PairWeights>(table.gemm[2]);
  fill_dots<1, kTiles[0]>(table.gemm[3][0]);
  fill_dots<2, kTiles[1]>(table.gemm[3][1]);
  fill_dots<4, kTiles[2]>(table.gemm[3][2]);
  table.panels[2] = kBf16Panels;
  table.panels[3] = kBf16DotPanels;
  table.panel_tokens = kBf16PanelTokens;
  fill_dtype<F32Weights>(table.kv_gemm[0]);
  fill_dtype<F16Weights>(table.kv_gemm[1]);
  fill_dtype<Bf16Weights>(table.kv_gemm[2]);
  fill_dtype<S8Weights>(table.kv_gemm[3]);
  table.rms_norm = &rms_norm;
  table.silu_mul = &silu_mul;
  table.combine = &combine;
  table.row_max = &row_max;
  table.sum_exp = &sum_exp;
  table.softmax = &softmax;
  table.softmax_block = &softmax_block;
  table.exp = &exp_one;
  table.scale_row = &scale_row;
  table.multiply_row = &multiply_row;
  table.merge_row = &merge_row;
  table.read_all = &read_all;
  table.fma_loop = &fma_loop;
  table.fma_flops = int64_t{2} * 16 * kChains * kFmaSteps;
  table.bf16_dot_loop = bf16_dot_loop;
  table.bf16_dot_flops = kBf16DotFlops;
  return table;
}
