#include "weights/stored_dtype.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace sluice::weights {
namespace {

using tensor::DType;

constexpr std::array<StoredDType, 22> kSafetensors{{
    {"BF16", 1, 2, DType::kBF16},
    {"F16", 1, 2, DType::kF16},
    {"F32", 1, 4, DType::kF32},
    {"F64", 1, 8, {}},
    {"BOOL", 1, 1, {}},
    {"U8", 1, 1, {}},
    {"I8", 1, 1, {}},
    {"U16", 1, 2, {}},
    {"I16", 1, 2, {}},
    {"U32", 1, 4, {}},
    {"I32", 1, 4, {}},
    {"U64", 1, 8, {}},
    {"I64", 1, 8, {}},
    {"C64", 1, 8, {}},
    {"F8_E4M3", 1, 1, {}},
    {"F8_E5M2", 1, 1, {}},
    {"F8_E8M0", 1, 1, {}},
    {"F8_E4M3FNUZ", 1, 1, {}},
    {"F8_E5M2FNUZ", 1, 1, {}},
    {"F6_E2M3", 4, 3, {}},
    {"F6_E3M2", 4, 3, {}},
    {"F4", 2, 1, {}},
}};

// By number, with the sizes of ggml's blocks. Null names: numbers that were given up.
constexpr std::array<StoredDType, 43> kGguf{{
    {"F32", 1, 4, DType::kF32},
    {"F16", 1, 2, DType::kF16},
    {"Q4_0", 32, 18, DType::kQ4_0},
    {"Q4_1", 32, 20, DType::kQ4_1},
    {nullptr, 1, 1, {}},
    {nullptr, 1, 1, {}},
    {"Q5_0", 32, 22, DType::kQ5_0},
    {"Q5_1", 32, 24, DType::kQ5_1},
    {"Q8_0", 32, 34, DType::kQ8_0},
    {"Q8_1", 32, 36, {}},
    {"Q2_K", 256, 84, DType::kQ2_K},  // 10
    {"Q3_K", 256, 110, DType::kQ3_K},
    {"Q4_K", 256, 144, DType::kQ4_K},
    {"Q5_K", 256, 176, DType::kQ5_K},
    {"Q6_K", 256, 210, DType::kQ6_K},
    {"Q8_K", 256, 292, {}},
    {"IQ2_XXS", 256, 66, {}},
    {"IQ2_XS", 256, 74, {}},
    {"IQ3_XXS", 256, 98, {}},
    {"IQ1_S", 256, 50, {}},
    {"IQ4_NL", 32, 18, DType::kIQ4_NL},  // 20
    {"IQ3_S", 256, 110, {}},
    {"IQ2_S", 256, 82, {}},
    {"IQ4_XS", 256, 136, DType::kIQ4_XS},
    {"I8", 1, 1, {}},
    {"I16", 1, 2, {}},
    {"I32", 1, 4, {}},
    {"I64", 1, 8, {}},
    {"F64", 1, 8, {}},
    {"IQ1_M", 256, 56, {}},
    {"BF16", 1, 2, DType::kBF16},  // 30
    {nullptr, 1, 1, {}},
    {nullptr, 1, 1, {}},
    {nullptr, 1, 1, {}},
    {"TQ1_0", 256, 54, {}},
    {"TQ2_0", 256, 66, {}},
    {nullptr, 1, 1, {}},
    {nullptr, 1, 1, {}},
    {nullptr, 1, 1, {}},
    {"MXFP4", 32, 17, DType::kMXFP4},
    {"NVFP4", 64, 36, {}},  // 40
    {"Q1_0", 128, 18, {}},
    {"Q2_0", 64, 18, {}},
}};

}  // namespace

const StoredDType* find_stored_dtype(std::string_view name) {
  for (const StoredDType& stored : kSafetensors) {
    if (name == stored.name) return &stored;
  }
  return nullptr;
}

const StoredDType* find_gguf_dtype(uint32_t number) {
  if (number >= kGguf.size() || kGguf[number].name == nullptr) return nullptr;
  return &kGguf[number];
}

const StoredDType& stored_as(tensor::DType dtype) {
  for (const StoredDType& stored : kSafetensors) {
    if (stored.readable == dtype) return stored;
  }
  base::check_failed("stored dtype", "a DType that no safetensors file stores", __FILE__, __LINE__);
}

std::optional<int64_t> stored_bytes(const std::vector<int64_t>& dims, const StoredDType& dtype) {
  if (std::ranges::find(dims, 0) != dims.end()) return 0;
  int64_t elements = 1;
  for (const int64_t dim : dims) {
    if (__builtin_mul_overflow(elements, dim, &elements)) return std::nullopt;
  }
  if (elements % dtype.block_elements != 0) return std::nullopt;
  int64_t bytes = 0;
  if (__builtin_mul_overflow(elements / dtype.block_elements, dtype.block_bytes, &bytes))
    return std::nullopt;
  return bytes;
}

}  // namespace sluice::weights
