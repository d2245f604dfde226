#include "models/load_tensor.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "base/rounding.h"
#include "tensor/block.h"
#include "tensor/quantize.h"

namespace sluice::models {
namespace {

using kernels::kPanelRows;

// Converts one row at a time; each thread has its own.
class RowConverter {
 public:
  RowConverter(const StoredRows& stored, tensor::DType to)
      : from_(stored.dtype),
        to_(to),
        cols_(stored.cols),
        same_(from_ == to || (tensor::is_bf16(from_) && tensor::is_bf16(to))) {
    if (same_) return;
    floats_.resize(static_cast<size_t>(cols_));
    converted_.resize(static_cast<size_t>(kPanelRows * tensor::storage_bytes(to_, cols_)));
  }

  // The row's bytes in the wanted dtype, for row `lane` of a panel; null if it cannot hold a value.
  const std::byte* convert(const std::byte* row, int64_t lane) {
    if (same_) return row;
    std::byte* to = converted_.data() + lane * tensor::storage_bytes(to_, cols_);
    tensor::dequantize(from_, row, cols_, floats_.data());
    return tensor::quantize(to_, floats_.data(), cols_, to) ? to : nullptr;
  }

 private:
  tensor::DType from_, to_;
  int64_t cols_;
  bool same_;  // bytes
  std::vector<float> floats_;
  std::vector<std::byte> converted_;
};

// False if a value of the panel cannot be held.
bool pack_one(const StoredRows& stored, const TensorSlot& tensor, tensor::DType dtype,
              int64_t panel, RowConverter& converter, std::byte* packed) {
  const int64_t row_bytes = tensor::storage_bytes(stored.dtype, stored.cols);
  const std::byte* rows[kPanelRows] = {};
  for (int64_t lane = 0; lane < kPanelRows; ++lane) {
    const int64_t row = panel * kPanelRows + lane;
    if (row >= tensor.shape[0]) break;
    const int64_t at = stored_row(tensor, row) - stored.first;
    SLUICE_CHECK(at >= 0 && at < stored.count, "a panel's rows are there");
    rows[lane] = converter.convert(stored.data + at * row_bytes, lane);
    if (rows[lane] == nullptr) return false;
  }
  kernels::pack_panel(dtype, stored.cols, rows, packed);
  return true;
}

}  // namespace

int64_t bytes_in_memory(const TensorSlot& tensor, tensor::DType dtype) {
  return tensor.is_matrix() ? kernels::packed_bytes(dtype, tensor.shape[0], tensor.shape[1])
                            : tensor.shape.elements() * int64_t{sizeof(float)};
}

bool pack_panels(const StoredRows& stored, const TensorSlot& tensor, tensor::DType dtype,
                 int64_t first_panel, int64_t panels, std::byte* packed) {
  const int64_t panel_bytes = kernels::panel_bytes(dtype, stored.cols);
  RowConverter converter(stored, dtype);
  bool held = true;
  for (int64_t i = 0; i < panels; ++i) {
    held &= pack_one(stored, tensor, dtype, first_panel + i, converter, packed + i * panel_bytes);
  }
  return held;
}

Error cannot_hold(const TensorSlot& tensor, tensor::DType dtype) {
  return {ErrorCode::kInvalid, "tensor '" + tensor.name +
                                   "' has a value that is not a number, or too large for " +
                                   tensor::info(dtype).name + "; load the model without --quant"};
}

Result<kernels::PackedMatrix> load_matrix(const tensor::TensorView& stored,
                                          const TensorSlot& tensor, tensor::DType dtype,
                                          std::byte* data, base::ThreadTeam* team) {
  const kernels::PackedMatrix matrix{
      .dtype = dtype, .rows = stored.shape[0], .cols = stored.shape[1], .data = data};
  const StoredRows rows{
      .dtype = stored.dtype, .cols = matrix.cols, .data = stored.data, .count = matrix.rows};
  const int64_t panel_bytes = kernels::panel_bytes(dtype, matrix.cols);
  std::atomic<bool> held = true;
  const auto pack_some = [&](int64_t task) {
    const int64_t first = task * kPanelsPerTask;
    const int64_t panels = std::min(kPanelsPerTask, matrix.panels() - first);
    if (!pack_panels(rows, tensor, dtype, first, panels, data + first * panel_bytes)) held = false;
  };
  const int64_t tasks = base::div_up(matrix.panels(), kPanelsPerTask);
  if (team != nullptr) {
    team->parallel_for(tasks, pack_some);
  } else {
    for (int64_t task = 0; task < tasks; ++task) pack_some(task);
  }
  if (!held) return cannot_hold(tensor, dtype);
  return matrix;
}

void load_vector(const tensor::TensorView& stored, const TensorSlot& tensor, float* out) {
  const int64_t elements = stored.shape.elements();
  if (tensor.rotary_heads == 0) {
    return tensor::dequantize(stored.dtype, stored.data, elements, out);
  }
  std::vector<float> in_stored_order(static_cast<size_t>(elements));
  tensor::dequantize(stored.dtype, stored.data, elements, in_stored_order.data());
  for (int64_t i = 0; i < elements; ++i)
    out[i] = in_stored_order[static_cast<size_t>(stored_row(tensor, i))];
}

}  // namespace sluice::models
