// Panels of block formats (block_layout.h): packing, and reading one value at a time.
#pragma once

#include "kernels/packed.h"

namespace sluice::kernels {

// Of a panel with `cols` columns, whole blocks; a multiple of kPackAlignment.
int64_t block_panel_bytes(tensor::DType dtype, int64_t cols);

// pack_panel() for block formats.
void pack_block_panel(tensor::DType dtype, int64_t cols, const std::byte* const (&rows)[kPanelRows],
                      std::byte* packed);

// One row of the panel as f32 [cols].
void unpack_block_lane(tensor::DType dtype, int64_t cols, const std::byte* panel, int64_t lane,
                       float* out);

// The slow and obvious way to read a panel.
class BlockPanelReader {
 public:
  BlockPanelReader(tensor::DType dtype, int64_t cols, const std::byte* panel);

  const tensor::BlockTraits& traits() const { return traits_; }
  int code(int64_t lane, int64_t k) const;
  int16_t value(int64_t lane, int64_t k) const;  // of the code: v(c)
  float scale(int64_t lane, int64_t group) const;
  float min(int64_t lane, int64_t group) const;

 private:
  int byte(int64_t offset) const { return std::to_integer<int>(panel_[offset]); }
  float half(int64_t offset) const;

  const tensor::BlockTraits& traits_;
  const std::byte* panel_;
  int64_t scales_;  // offset of the scales
};

}  // namespace sluice::kernels
