// Element types of stored tensors. A block format stores `block_elements` values in `block_bytes`.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace sluice::tensor {

enum class DType : uint8_t { kF32, kF16, kBF16 };

struct DTypeInfo {
  const char* name;  // "f32": as flags, manifests and reports write it
  int block_elements;
  int block_bytes;
};

const DTypeInfo& info(DType dtype);

// "f32", "f16", "bf16", in any case, or nothing.
std::optional<DType> parse_dtype(std::string_view name);

// Bytes of `elements` values stored contiguously; `elements` must be whole blocks.
int64_t storage_bytes(DType dtype, int64_t elements);

}  // namespace sluice::tensor
