// How a matrix product is cut into items for the team and tiles for the registers. No choice made
// here can change a bit of the result: every output is one chain of multiply-adds over K.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "kernels/op_table.h"
#include "kernels/packed.h"

namespace sluice::kernels {

// Panels x tokens cut into items of at most that size.
struct GemmPlan {
  int64_t panels_per_item = 0;
  int64_t tokens_per_item = 0;
  int64_t panel_items = 0;
  int64_t token_items = 0;

  int64_t items() const { return panel_items * token_items; }
  bool operator==(const GemmPlan&) const = default;
};

constexpr int64_t kMaxItemPanels = 32;
constexpr int64_t kItemsPerThread = 4;  // so that a late thread costs little

// `panels` counts units of work along the rows: a panel, or a pair of gate and up.
GemmPlan plan_gemm(int64_t panels, int64_t tokens, int threads);

std::string to_string(const GemmPlan& plan);

// How `tokens` of an item meet the panels of a block format, as "slab by slab, 4 ahead, 256 of K,
// tiles of 6 x 2" (tokens x panels). A function of (format, ISA, tokens) alone.
std::string block_tiling(const OpTable& ops, tensor::DType dtype, int64_t tokens);

// The largest number of tokens in a tile of at least 2^size_log2 panels.
int max_tile_tokens(const OpTable& ops, tensor::DType dtype, int size_log2);

// The largest log2 of panels, at most `panels` of them, in a tile of `tokens`.
int tile_panels_log2(const OpTable& ops, tensor::DType dtype, int tokens, int64_t panels);

// Multiplies `panels` panels by `tokens` rows and calls emit(panel, panel_count, token,
// token_count, tile, ld) for each tile, where tile is [token_count][ld]. Panel p of the `count`
// from `panel` on lies at panel_at(panel, count, p). With `min_log2` 1 counts are even.
template <class PanelAt, class Emit>
void for_each_tile(const OpTable& ops, tensor::DType dtype, int64_t cols, int64_t panels,
                   int min_log2, const PanelAt& panel_at, const float* const* rows, int64_t tokens,
                   const Emit& emit) {
  alignas(64) float tile[kMaxTileTokens * kMaxTilePanels * kPanelRows];
  constexpr int64_t kLd = kMaxTilePanels * kPanelRows;
  const int64_t step =
      panel_bytes(dtype, cols) /
      std::max<int64_t>(packed_cols(dtype, cols) / (tensor::is_bf16(dtype) ? 2 : 1), 1);
  const int64_t most = max_tile_tokens(ops, dtype, min_log2);
  const int64_t token_tiles = (tokens + most - 1) / most;
  const auto largest = static_cast<int>((tokens + token_tiles - 1) / token_tiles);
  const std::byte* addresses[kMaxTilePanels];
  for (int64_t panel = 0; panel < panels;) {
    const int log2 = tile_panels_log2(ops, dtype, largest, panels - panel);
    const int64_t count = int64_t{1} << log2;
    for (int64_t p = 0; p < count; ++p) addresses[p] = panel_at(panel, count, p);
    for (int64_t i = 0; i < token_tiles; ++i) {
      const int64_t first = tokens * i / token_tiles;
      const int64_t last = tokens * (i + 1) / token_tiles;
      ops.gemm[static_cast<size_t>(dtype)][log2][last - first](addresses, step, rows + first, cols,
                                                               tile, kLd, false);
      emit(panel, count, first, last - first, tile, kLd);
    }
    panel += count;
  }
}

}  // namespace sluice::kernels
