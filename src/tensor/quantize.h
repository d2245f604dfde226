// Writing block formats. The scales are searched: of several near the one that maps a run's largest
// value to the largest code, each made best for its own codes by least squares, the one of least
// squared error is taken. Q8_0 is rounded plainly, to the bytes of gguf's quantize().
// Deterministic: a block depends on its own values alone, in sums of a fixed order.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace sluice::tensor {

// The largest magnitude that every format can hold, f16's.
constexpr float kMaxQuantized = 65504.0f;

// Whether quantize() writes `dtype`: f32, f16, bf16, bf16_dot, q8_0, q4_0, q4_1, q4_k, iq4_nl and
// mxfp4.
bool can_quantize(DType dtype);

// `elements` values, whole blocks, as `to`, one that quantize() writes; `to_bytes` is storage_bytes
// long, at any alignment. False, and nothing that means anything is written, if a value is NaN,
// infinite, or of f16 and the block formats beyond kMaxQuantized: the caller knows whose value it
// is and says so.
[[nodiscard]] bool quantize(DType to, const float* from, int64_t elements, std::byte* to_bytes);

}  // namespace sluice::tensor
