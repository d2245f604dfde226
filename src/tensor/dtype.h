// Element types of stored tensors. A block format stores `block_elements` values in `block_bytes`;
// the block formats are GGUF's, and lie in memory as GGUF files have them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace sluice::tensor {

enum class DType : uint8_t {
  kF32,
  kF16,
  kBF16,
  kBF16Dot,  // stored as bf16; products round the rows they meet to bf16 as well
  kQ8_0,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ2_K,
  kQ3_K,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kIQ4_NL,
  kIQ4_XS,
  kMXFP4,
};
constexpr int kDTypes = 17;
constexpr int kFloatDTypes = 4;  // the first ones

struct DTypeInfo {
  const char* name;  // "f32", "q4_k": as flags, manifests and reports write it
  int block_elements;
  int block_bytes;
};

const DTypeInfo& info(DType dtype);

// In the order of the enum.
std::span<const DType> all_dtypes();

constexpr bool is_block_format(DType dtype) { return static_cast<int>(dtype) >= kFloatDTypes; }

constexpr bool is_bf16(DType dtype) { return dtype == DType::kBF16 || dtype == DType::kBF16Dot; }

// "f32", "q4_k", ..., in any case, or nothing.
std::optional<DType> parse_dtype(std::string_view name);

// Bytes of `elements` values stored contiguously; `elements` must be whole blocks.
int64_t storage_bytes(DType dtype, int64_t elements);

}  // namespace sluice::tensor
