#include "models/quantization.h"

#include <string>

#include "base/check.h"

namespace sluice::models {

using tensor::DType;

Result<Quantization> parse_quantization(std::string_view name) {
  if (name == "none") return Quantization{};
  if (name == "bf16") return Quantization{DType::kBF16Dot, {}, DType::kBF16Dot};
  if (name == "q8") return Quantization{DType::kQ8_0, {}, DType::kQ8_0};
  if (name == "q4") return Quantization{DType::kQ4_K, DType::kQ4_1, DType::kQ8_0};
  if (name == "mxfp4") return Quantization{DType::kMXFP4, {}, DType::kQ8_0};
  return Error{ErrorCode::kInvalid,
               "--quant is '" + std::string(name) + "'; none, bf16, q8, q4 or mxfp4 is expected"};
}

DType dtype_in_memory(const Quantization& quantization, const TensorSlot& tensor, DType stored) {
  if (!tensor.is_matrix()) return DType::kF32;
  const auto fits = [&](std::optional<DType> dtype) {
    return dtype && tensor.shape[1] % tensor::info(*dtype).block_elements == 0;
  };
  switch (tensor.use()) {
    case Use::kExpert:
    case Use::kDense:
      if (fits(quantization.ffn)) return *quantization.ffn;
      return fits(quantization.narrow_ffn) ? *quantization.narrow_ffn : stored;
    case Use::kAttention:
    case Use::kEmbedding:
    case Use::kHead:
      return fits(quantization.others) ? *quantization.others : stored;
    case Use::kRouter:
    case Use::kNorm:
      return stored;
  }
  base::check_failed("known use", "a Use outside its enum", __FILE__, __LINE__);
}

}  // namespace sluice::models
