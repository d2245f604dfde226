// What the block formats have in common. A block is codes of a few bits in groups; with the group's
// scale and minimum a code c stands for
//
//   w = (d * scale) * v(c) - dmin * min      v(c) = c - offset, or values[c]
//
// in f32, each product and the difference rounded once: the bits that the `gguf` package gives (a
// NaN, of a scale that is one, where it gives a NaN).
// d and dmin are f16, scale and min whole numbers (1 where a format has none). The kernels pack
// these parts; nothing above tensor reads a block's bytes in any other way.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace sluice::tensor {

constexpr int kMaxBlockElements = 256;
constexpr int kMaxBlockGroups = 16;

// How a group's scale is stored.
enum class BlockScale : uint8_t {
  kHalf,       // an f16 of its own
  kHalfTimes,  // an f16 of the block times a small whole number of the group
  kE8M0,       // a power of two: 2^(e - 128), as MXFP4 halves it for values that are doubled
};

struct BlockTraits {
  int group;      // values of K under one scale: 16 or 32
  int code_bits;  // 2, 3, 4, 5, 6 or 8
  int offset;     // of v(c); 0 where `values` or a minimum says it
  bool has_min;
  BlockScale scale;
  const int8_t* values;  // [16] by code (IQ4_NL, IQ4_XS, MXFP4), or null
};

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
