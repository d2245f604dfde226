// Blocks taken apart, and widened. block_traits.h says what a code, a scale and a minimum stand
// for. The kernels pack these parts; nothing above tensor reads a block's bytes in any other way.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "tensor/block_traits.h"

namespace sluice::tensor {

constexpr int kMaxBlockElements = 256;
constexpr int kMaxBlockGroups = 16;

// Of a block format only.
const BlockTraits& block_traits(DType dtype);

// One block taken apart, groups and values in the order of K; beyond the format's own number of
// groups and values the arrays mean nothing.
struct BlockParts {
  uint16_t d = 0;     // f16 bits; for kE8M0 the exponent byte
  uint16_t dmin = 0;  // f16 bits; Q4_1 and Q5_1, which add their minimum, have it negated
  std::array<int8_t, kMaxBlockGroups> scale{};
  std::array<uint8_t, kMaxBlockGroups> min{};
  // Unsigned, as the format numbers them; Q8_0's are its signed values plus 128 (offset 128).
  std::array<uint8_t, kMaxBlockElements> code{};
};

// `block` is block_bytes of a block format, at any alignment. Any bytes are a block.
void take_apart(DType dtype, const std::byte* block, BlockParts* parts);

// `elements` stored values, whole blocks of any dtype at any alignment, as f32.
void dequantize(DType dtype, const std::byte* from, int64_t elements, float* to);

}  // namespace sluice::tensor
