// Which weights are quantized when a model is loaded, and to what.
#pragma once

#include <optional>
#include <string_view>

#include "base/error.h"
#include "models/tensors.h"
#include "tensor/dtype.h"

namespace sluice::models {

// Matrices of attention, experts and dense FFNs become `weights`, the embedding and the head
// `ends`. Routers, norms and biases are kept exact, and so is a matrix whose rows are not whole
// blocks. Nothing set: all is kept as the checkpoint has it.
struct Quantization {
  std::optional<tensor::DType> weights;
  std::optional<tensor::DType> ends;
  bool operator==(const Quantization&) const = default;
};

// "none", "bf16", "q8", "q4" or "mxfp4" (docs/quantization.md says what they stand for).
Result<Quantization> parse_quantization(std::string_view name);

// The dtype in which a tensor that is stored as `stored` lies in memory. Vectors are f32 always.
tensor::DType dtype_in_memory(const Quantization& quantization, const TensorSlot& tensor,
                              tensor::DType stored);

}  // namespace sluice::models
