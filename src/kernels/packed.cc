#include "kernels/packed.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "tensor/float.h"

namespace sluice::kernels {
namespace {

using tensor::DType;

int64_t group(DType dtype) { return dtype == DType::kBF16 ? 2 : 1; }

// The offset in values of (row, col) inside its panel.
int64_t place(DType dtype, int64_t lane, int64_t col) {
  const int64_t size = group(dtype);
  return (col / size) * kPanelRows * size + lane * size + col % size;
}

template <class Value>
void pack_panel(const tensor::TensorView& source, int64_t panel, Value* packed) {
  const int64_t rows = source.shape[0];
  const int64_t cols = source.shape[1];
  const int64_t stored = packed_cols(source.dtype, cols);
  for (int64_t lane = 0; lane < kPanelRows; ++lane) {
    const int64_t row = panel * kPanelRows + lane;
    int64_t col = 0;
    if (row < rows) {
      const std::byte* from = source.data + row * cols * static_cast<int64_t>(sizeof(Value));
      for (; col < cols; ++col) {
        // The file's bytes need not be aligned to a value.
        std::memcpy(packed + place(source.dtype, lane, col), from + col * int64_t{sizeof(Value)},
                    sizeof(Value));
      }
    }
    for (; col < stored; ++col) packed[place(source.dtype, lane, col)] = Value{0};
  }
}

}  // namespace

int64_t packed_cols(DType dtype, int64_t cols) {
  const int64_t size = group(dtype);
  return (cols + size - 1) / size * size;
}

int64_t panel_bytes(DType dtype, int64_t cols) {
  return tensor::storage_bytes(dtype, packed_cols(dtype, cols) * kPanelRows);
}

int64_t packed_bytes(DType dtype, int64_t rows, int64_t cols) {
  return (rows + kPanelRows - 1) / kPanelRows * panel_bytes(dtype, cols);
}

void pack_panels(const tensor::TensorView& source, int64_t first_panel, int64_t last_panel,
                 std::byte* packed) {
  SLUICE_CHECK(source.shape.rank == 2, "a packed matrix has two dimensions");
  const int64_t bytes = panel_bytes(source.dtype, source.shape[1]);
  for (int64_t panel = first_panel; panel < last_panel; ++panel) {
    std::byte* to = packed + panel * bytes;
    switch (source.dtype) {
      case DType::kF32:
        pack_panel(source, panel, reinterpret_cast<uint32_t*>(to));
        break;
      case DType::kF16:
      case DType::kBF16:
        pack_panel(source, panel, reinterpret_cast<uint16_t*>(to));
        break;
      default:
        SLUICE_CHECK(false, "a float format");
    }
  }
}

void unpack_row(const PackedMatrix& matrix, int64_t row, float* out) {
  SLUICE_CHECK(row >= 0 && row < matrix.rows, "a row of the matrix");
  const std::byte* panel = matrix.data + row / kPanelRows * panel_bytes(matrix.dtype, matrix.cols);
  const int64_t lane = row % kPanelRows;
  const auto* wide = reinterpret_cast<const float*>(panel);
  const auto* half = reinterpret_cast<const uint16_t*>(panel);
  for (int64_t col = 0; col < matrix.cols; ++col) {
    const int64_t at = place(matrix.dtype, lane, col);
    switch (matrix.dtype) {
      case DType::kF32:
        out[col] = wide[at];
        break;
      case DType::kF16:
        out[col] = tensor::f16_to_f32(half[at]);
        break;
      case DType::kBF16:
        out[col] = tensor::bf16_to_f32(half[at]);
        break;
      default:
        SLUICE_CHECK(false, "a float format");
    }
  }
}

}  // namespace sluice::kernels
