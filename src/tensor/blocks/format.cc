#include "tensor/blocks/format.h"

namespace sluice::tensor {

const BlockFormat* format_of(DType dtype) {
  switch (dtype) {
    case DType::kF32:
    case DType::kF16:
    case DType::kBF16:
    case DType::kBF16Dot:
      return nullptr;
    case DType::kQ8_0:
      return &kQ8_0Format;
    case DType::kQ4_0:
      return &kQ4_0Format;
    case DType::kQ4_1:
      return &kQ4_1Format;
    case DType::kQ5_0:
      return &kQ5_0Format;
    case DType::kQ5_1:
      return &kQ5_1Format;
    case DType::kQ2_K:
      return &kQ2_KFormat;
    case DType::kQ3_K:
      return &kQ3_KFormat;
    case DType::kQ4_K:
      return &kQ4_KFormat;
    case DType::kQ5_K:
      return &kQ5_KFormat;
    case DType::kQ6_K:
      return &kQ6_KFormat;
    case DType::kIQ4_NL:
      return &kIQ4_NLFormat;
    case DType::kIQ4_XS:
      return &kIQ4_XSFormat;
    case DType::kMXFP4:
      return &kMXFP4Format;
  }
  return nullptr;
}

}  // namespace sluice::tensor
