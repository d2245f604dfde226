#include "models/quantization.h"

#include <string>

#include "base/check.h"

namespace sluice::models {

using tensor::DType;

Result<Quantization> parse_quantization(std::string_view name) {
  if (name == "none") return Quantization{};
  if (name == "bf16") return Quantization{DType::kBF16, DType::kBF16};
  if (name == "q8") return Quantization{DType::kQ8_0, DType::kQ8_0};
  if (name == "q4") return Quantization{DType::kQ4_0, DType::kQ8_0};
  if (name == "mxfp4") return Quantization{DType::kMXFP4, DType::kQ8_0};
  return Error{ErrorCode::kInvalid,
               "--quant is '" + std::string(name) + "'; none, bf16, q8, q4 or mxfp4 is expected"};
}

DType dtype_in_memory(const Quantization& quantization, const TensorSlot& tensor, DType stored) {
  if (!tensor.is_matrix()) return DType::kF32;
  std::optional<DType> wanted;
  switch (tensor.use()) {
    case Use::kAttention:
    case Use::kExpert:
    case Use::kDense:
      wanted = quantization.weights;
      break;
    case Use::kEmbedding:
    case Use::kHead:
      wanted = quantization.ends;
      break;
    case Use::kRouter:
    case Use::kNorm:
      break;
  }
  if (!wanted || tensor.shape[1] % tensor::info(*wanted).block_elements != 0) return stored;
  return *wanted;
}

}  // namespace sluice::models
