#include "tensor/dtype.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "base/check.h"

namespace sluice::tensor {
namespace {

constexpr std::array<DTypeInfo, kDTypes> kInfos = {{
    {"f32", 1, 4},
    {"f16", 1, 2},
    {"bf16", 1, 2},
    {"bf16_dot", 1, 2},
    {"q8_0", 32, 34},
    {"q4_0", 32, 18},
    {"q4_1", 32, 20},
    {"q5_0", 32, 22},
    {"q5_1", 32, 24},
    {"q2_k", 256, 84},
    {"q3_k", 256, 110},
    {"q4_k", 256, 144},
    {"q5_k", 256, 176},
    {"q6_k", 256, 210},
    {"iq4_nl", 32, 18},
    {"iq4_xs", 256, 136},
    {"mxfp4", 32, 17},
}};

constexpr auto kAll = [] {
  std::array<DType, kDTypes> all{};
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<DType>(i);
  return all;
}();

}  // namespace

const DTypeInfo& info(DType dtype) {
  const auto index = static_cast<size_t>(dtype);
  SLUICE_CHECK(index < kInfos.size(), "a DType inside its enum");
  return kInfos[index];
}

std::span<const DType> all_dtypes() { return kAll; }

std::optional<DType> parse_dtype(std::string_view name) {
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (DType dtype : kAll) {
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
