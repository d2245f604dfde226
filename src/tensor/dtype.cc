#include "tensor/dtype.h"

#include <algorithm>
#include <cctype>
#include <string>

#include "base/check.h"

namespace sluice::tensor {

const DTypeInfo& info(DType dtype) {
  static constexpr DTypeInfo kF32{"f32", 1, 4};
  static constexpr DTypeInfo kF16{"f16", 1, 2};
  static constexpr DTypeInfo kBF16{"bf16", 1, 2};
  switch (dtype) {
    case DType::kF32:
      return kF32;
    case DType::kF16:
      return kF16;
    case DType::kBF16:
      return kBF16;
  }
  base::check_failed("known dtype", "a DType outside its enum", __FILE__, __LINE__);
}

std::optional<DType> parse_dtype(std::string_view name) {
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    if (lower == info(dtype).name) return dtype;
  }
  return std::nullopt;
}

int64_t storage_bytes(DType dtype, int64_t elements) {
  const DTypeInfo& of = info(dtype);
  SLUICE_CHECK(elements % of.block_elements == 0, "a stored row is whole blocks");
  return elements / of.block_elements * of.block_bytes;
}

}  // namespace sluice::tensor
