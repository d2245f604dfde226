#include "kernels/gemm_tiles.h"

namespace sluice::kernels {

GemmPlan plan_gemm(int64_t panels, int64_t tokens, int threads) {
  GemmPlan plan;
  if (panels == 0 || tokens == 0) return plan;
  plan.token_items = (tokens + kMaxItemTokens - 1) / kMaxItemTokens;
  plan.tokens_per_item = (tokens + plan.token_items - 1) / plan.token_items;
  const int64_t wanted = (kItemsPerThread * threads + plan.token_items - 1) / plan.token_items;
  const int64_t share = (panels + wanted - 1) / wanted;
  const int64_t whole_tiles = (share + kMaxTilePanels - 1) / kMaxTilePanels * kMaxTilePanels;
  // Of a router there are fewer panels than a tile for each thread.
  const int64_t of_thread = (panels + threads - 1) / threads;
  plan.panels_per_item = std::min({whole_tiles, of_thread, kMaxItemPanels});
  plan.panel_items = (panels + plan.panels_per_item - 1) / plan.panels_per_item;
  return plan;
}

std::string to_string(const GemmPlan& plan) {
  return std::to_string(plan.panel_items) + " x " + std::to_string(plan.token_items) +
         " items of " + std::to_string(plan.panels_per_item) + " panels x " +
         std::to_string(plan.tokens_per_item) + " tokens";
}

std::string block_tiling(const OpTable& ops, tensor::DType dtype, int64_t tokens) {
  const BlockTiles& tiles = ops.blocks->tiles[static_cast<size_t>(dtype)];
  const bool matrix = tiles.matrix_tokens > 0 && tokens >= tiles.matrix_tokens;
  const auto in_tiles = [tokens](int64_t most, int64_t panels) {
    const int64_t count = std::max<int64_t>((tokens + most - 1) / most, 1);
    return "tiles of " + std::to_string((tokens + count - 1) / count) + " x " +
           std::to_string(panels);
  };
  if (!matrix && tokens <= tiles.few_tokens)
    return "panels end to end as stored, " +
           std::string(tokens <= tiles.pair_tokens ? "two at once, " : "") +
           in_tiles(tiles.stored_tokens, 1);
  const int64_t ahead = tokens >= tiles.many_tokens ? tiles.panels_ahead_many : tiles.panels_ahead;
  return "slab by slab, " + std::to_string(ahead) + " ahead, " + std::to_string(tiles.slab_cols) +
         " of K, " + (matrix ? "matrix unit" : in_tiles(tiles.tokens, tiles.panels));
}

int max_tile_tokens(const OpTable& ops, tensor::DType dtype, int size_log2) {
  int tokens = kMaxTileTokens;
  while (ops.gemm[static_cast<size_t>(dtype)][size_log2][tokens] == nullptr) --tokens;
  return tokens;
}

int tile_panels_log2(const OpTable& ops, tensor::DType dtype, int tokens, int64_t panels) {
  int log2 = kTilePanelSizes - 1;
  while (log2 > 0 && ((int64_t{1} << log2) > panels ||
                      ops.gemm[static_cast<size_t>(dtype)][log2][tokens] == nullptr)) {
    --log2;
  }
  return log2;
}

}  // namespace sluice::kernels
