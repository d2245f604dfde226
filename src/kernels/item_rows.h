// The activations of one item of a product, in the form that the weights' dtype asks for, and the
// tiles over them.
#pragma once

#include "base/check.h"
#include "kernels/gemm_tiles.h"
#include "kernels/quantized_rows.h"

namespace sluice::kernels {

class ItemRows {
 public:
  ItemRows(const PackedMatrix& w, const float* x, int64_t ld_x, const QuantizedRows* quantized)
      : blocks_(tensor::is_block_format(w.dtype)), x_(x), ld_x_(ld_x), quantized_(quantized) {
    SLUICE_CHECK(!blocks_ || (quantized != nullptr && quantized->cols == w.cols),
                 "a product with a block format has its activations quantized");
  }

  // Row `at` of the item is row `row` of the activations.
  void set(int64_t at, int64_t row) {
    if (blocks_) {
      coded_[at] = quantized_->data + row * QuantizedRows::row_bytes(quantized_->cols);
    } else {
      floats_[at] = x_ + row * ld_x_;
    }
  }

  // As for_each_tile() says; with a block format a tile holds all tokens.
  template <class PanelAt, class Emit>
  void for_each(const OpTable& ops, const PackedMatrix& w, int64_t panels, int group,
                const PanelAt& panel_at, int64_t tokens, const Emit& emit) const {
    if (blocks_) {
      const BlockPanels blocks = ops.blocks->panels[static_cast<size_t>(w.dtype)];
      const int64_t most = ops.blocks->tiles[static_cast<size_t>(w.dtype)].list_panels;
      return by_lists(blocks, coded_, most, w.cols, panels, panel_at, tokens, emit);
    }
    const FloatPanels floats = ops.panels[static_cast<size_t>(w.dtype)];
    if (floats != nullptr && tokens >= ops.panel_tokens)
      return by_lists(floats, floats_, kMaxBlockPanels, w.cols, panels, panel_at, tokens, emit);
    for_each_tile(ops, w.dtype, w.cols, panels, group == 2 ? 1 : 0, panel_at, floats_, tokens,
                  emit);
  }

 private:
  template <class ListProduct, class Row, class PanelAt, class Emit>
  static void by_lists(ListProduct product, const Row* rows, int64_t most, int64_t cols,
                       int64_t panels, const PanelAt& panel_at, int64_t tokens, const Emit& emit) {
    // Rows a power of two apart would share a few sets of the cache.
    constexpr int64_t kLd = (kMaxBlockPanels + 1) * kPanelRows;
    alignas(64) float tile[kMaxItemTokens * kLd];
    const std::byte* addresses[2][kMaxBlockPanels];
    const auto find = [&](int64_t panel, const std::byte*(&found)[kMaxBlockPanels]) {
      const int64_t count = std::clamp<int64_t>(panels - panel, 0, most);
      for (int64_t p = 0; p < count; ++p) found[p] = panel_at(panel, count, p);
      return count;
    };
    int64_t count = find(0, addresses[0]);
    for (int64_t panel = 0, turn = 0; panel < panels; turn = 1 - turn) {
      const int64_t next_count = find(panel + count, addresses[1 - turn]);
      product({addresses[turn], count, addresses[1 - turn], next_count}, cols, rows, tokens, tile,
              kLd);
      emit(panel, count, 0, tokens, tile, kLd);
      panel += count;
      count = next_count;
    }
  }

  const bool blocks_;
  const float* const x_;
  const int64_t ld_x_;
  const QuantizedRows* const quantized_;
  union {
    const float* floats_[kMaxItemTokens];
    const std::byte* coded_[kMaxItemTokens];
  };
};

}  // namespace sluice::kernels
