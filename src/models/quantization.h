// Which weights are quantized when a model is loaded, and to what.
#pragma once

#include <optional>
#include <string_view>

#include "base/error.h"
#include "models/tensors.h"
#include "tensor/dtype.h"

namespace sluice::models {

// Experts and dense FFNs become `ffn`, or `narrow_ffn` where their rows are not whole blocks of it;
// attention, embedding and head, which are few weights and cost the most quality, become `others`.
// Routers, norms and biases are kept exact, and so is a matrix whose rows are whole blocks of
// neither. Nothing set: all is kept as the checkpoint has it.
struct Quantization {
  std::optional<tensor::DType> ffn;
  std::optional<tensor::DType> narrow_ffn;
  std::optional<tensor::DType> others;
  bool operator==(const Quantization&) const = default;
};

// "none", "bf16", "q8", "q4" or "mxfp4" (docs/quantization.md says what they stand for).
Result<Quantization> parse_quantization(std::string_view name);

// The dtype in which a tensor that is stored as `stored` lies in memory. Vectors are f32 always.
tensor::DType dtype_in_memory(const Quantization& quantization, const TensorSlot& tensor,
                              tensor::DType stored);

}  // namespace sluice::models
