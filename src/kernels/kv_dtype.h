// What the elements of a KV cache are. Free of code, so that every translation unit may include it,
// whatever it is compiled for.
#pragma once

#include <cstdint>

namespace sluice::kernels {

// kQ8: whole numbers of 8 bits, with an f32 scale for every token's key and value of a head.
enum class KvDType : uint8_t { kF32, kF16, kBF16, kQ8 };
constexpr int kKvDTypes = 4;

}  // namespace sluice::kernels
