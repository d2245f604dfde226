#include "kernels/packed.h"

#include <cstring>

#include "base/check.h"
#include "kernels/packed_block.h"
#include "tensor/float.h"

namespace sluice::kernels {
namespace {

using tensor::DType;

int64_t group(DType dtype) { return tensor::is_bf16(dtype) ? 2 : 1; }

// The offset in values of (row, col) inside its panel.
int64_t place(DType dtype, int64_t lane, int64_t col) {
  const int64_t size = group(dtype);
  return (col / size) * kPanelRows * size + lane * size + col % size;
}

template <class Value>
void pack_floats(DType dtype, int64_t cols, const std::byte* const (&rows)[kPanelRows],
                 Value* packed) {
  const int64_t stored = packed_cols(dtype, cols);
  for (int64_t lane = 0; lane < kPanelRows; ++lane) {
    int64_t col = 0;
    if (const std::byte* from = rows[lane]; from != nullptr) {
      for (; col < cols; ++col) {
        // The file's bytes need not be aligned to a value.
        std::memcpy(packed + place(dtype, lane, col), from + col * int64_t{sizeof(Value)},
                    sizeof(Value));
      }
    }
    for (; col < stored; ++col) packed[place(dtype, lane, col)] = Value{0};
  }
}

void unpack_float_row(const PackedMatrix& matrix, const std::byte* panel, int64_t lane,
                      float* out) {
  const auto* wide = reinterpret_cast<const float*>(panel);
  const auto* half = reinterpret_cast<const uint16_t*>(panel);
  for (int64_t col = 0; col < matrix.cols; ++col) {
    const int64_t at = place(matrix.dtype, lane, col);
    if (matrix.dtype == DType::kF32) {
      out[col] = wide[at];
    } else {
      out[col] = matrix.dtype == DType::kF16 ? tensor::f16_to_f32(half[at])
                                             : tensor::bf16_to_f32(half[at]);
    }
  }
}

}  // namespace

int64_t packed_cols(DType dtype, int64_t cols) {
  const int64_t size = group(dtype);
  return (cols + size - 1) / size * size;
}

int64_t panel_bytes(DType dtype, int64_t cols) {
  if (tensor::is_block_format(dtype)) return block_panel_bytes(dtype, cols);
  return tensor::storage_bytes(dtype, packed_cols(dtype, cols) * kPanelRows);
}

int64_t packed_bytes(DType dtype, int64_t rows, int64_t cols) {
  return (rows + kPanelRows - 1) / kPanelRows * panel_bytes(dtype, cols);
}

void pack_panel(DType dtype, int64_t cols, const std::byte* const (&rows)[kPanelRows],
                std::byte* packed) {
  if (tensor::is_block_format(dtype)) return pack_block_panel(dtype, cols, rows, packed);
  if (dtype == DType::kF32) {
    pack_floats(dtype, cols, rows, reinterpret_cast<uint32_t*>(packed));
  } else {
    pack_floats(dtype, cols, rows, reinterpret_cast<uint16_t*>(packed));
  }
}

void pack_panels(const tensor::TensorView& source, int64_t first_panel, int64_t last_panel,
                 std::byte* packed) {
  SLUICE_CHECK(source.shape.rank == 2, "a packed matrix has two dimensions");
  const int64_t row_bytes = tensor::storage_bytes(source.dtype, source.shape[1]);
  const int64_t bytes = panel_bytes(source.dtype, source.shape[1]);
  for (int64_t panel = first_panel; panel < last_panel; ++panel) {
    const std::byte* rows[kPanelRows];
    for (int64_t lane = 0; lane < kPanelRows; ++lane) {
      const int64_t row = panel * kPanelRows + lane;
      rows[lane] = row < source.shape[0] ? source.data + row * row_bytes : nullptr;
    }
    pack_panel(source.dtype, source.shape[1], rows, packed + panel * bytes);
  }
}

void unpack_row(const PackedMatrix& matrix, int64_t row, float* out) {
  SLUICE_CHECK(row >= 0 && row < matrix.rows, "a row of the matrix");
  const std::byte* panel = matrix.data + row / kPanelRows * panel_bytes(matrix.dtype, matrix.cols);
  if (tensor::is_block_format(matrix.dtype)) {
    unpack_block_lane(matrix.dtype, matrix.cols, panel, row % kPanelRows, out);
  } else {
    unpack_float_row(matrix, panel, row % kPanelRows, out);
  }
}

void unpack_block_row(const PackedMatrix& matrix, int64_t row, int16_t* value, float* scale,
                      float* min) {
  SLUICE_CHECK(row >= 0 && row < matrix.rows, "a row of the matrix");
  const BlockPanelReader reader(
      matrix.dtype, matrix.cols,
      matrix.data + row / kPanelRows * panel_bytes(matrix.dtype, matrix.cols));
  const int64_t lane = row % kPanelRows;
  for (int64_t k = 0; k < matrix.cols; ++k) value[k] = reader.value(lane, k);
  for (int64_t g = 0; g < matrix.cols / reader.traits().group; ++g) {
    scale[g] = reader.scale(lane, g);
    min[g] = reader.min(lane, g);
  }
}

}  // namespace sluice::kernels
