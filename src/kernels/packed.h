// Weight matrices in the compute layout: one x86 layout for all ISAs, so that a packed file moves
// between machines.
//
// kRows16: rows are interleaved by 16. A panel holds 16 consecutive output rows. In a panel of a
// float format K runs forward in groups that fill one 32-bit lane per row (1 value of f32, 2 of
// bf16; f16 goes singly, because its conversion reads 16 neighbours): panel p of a bf16 matrix is
// [cols/2][16 rows][2 values], and columns are padded with zeros to a group. A panel of a block
// format is described in block_layout.h; its columns are whole blocks. Rows past the end are zeros.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/block_layout.h"
#include "tensor/view.h"

namespace sluice::kernels {

enum class Layout : uint8_t { kRows16 = 1 };

constexpr int kPackAlignment = 64;  // bytes, of every packed matrix and so of every panel group

// A view; the bytes belong to an arena.
struct PackedMatrix {
  tensor::DType dtype = tensor::DType::kF32;
  Layout layout = Layout::kRows16;
  int64_t rows = 0;  // outputs
  int64_t cols = 0;  // inputs, K
  const std::byte* data = nullptr;

  int64_t panels() const { return (rows + kPanelRows - 1) / kPanelRows; }
};

// Columns as stored, padded to a group.
int64_t packed_cols(tensor::DType dtype, int64_t cols);
int64_t panel_bytes(tensor::DType dtype, int64_t cols);
int64_t packed_bytes(tensor::DType dtype, int64_t rows, int64_t cols);

// Packs one panel from its rows as they are stored, of `cols` elements each, at any alignment; null
// for a row past the end. `packed` is panel_bytes long. The dtype is kept.
void pack_panel(tensor::DType dtype, int64_t cols, const std::byte* const (&rows)[kPanelRows],
                std::byte* packed);

// Packs panels [first_panel, last_panel) of the row-major `source` [rows, cols] into `packed` (the
// start of the whole matrix, packed_bytes long). Ranges may be packed in parallel.
void pack_panels(const tensor::TensorView& source, int64_t first_panel, int64_t last_panel,
                 std::byte* packed);

// One row back as f32 [cols]: the embedding's look-up, and the tests' inverse.
void unpack_row(const PackedMatrix& matrix, int64_t row, float* out);

// One row of a block format taken apart: w[k] = scale[g] * value[k] - min[g], g = k / group.
// `value` [cols], `scale` and `min` [cols / 16] (fewer are used if the group is 32).
void unpack_block_row(const PackedMatrix& matrix, int64_t row, int16_t* value, float* scale,
                      float* min);

}  // namespace sluice::kernels
