// What the block formats have in common, as data. A block is codes of a few bits in groups; with
// the group's scale and minimum a code c stands for
//
//   w = (d * scale) * v(c) - dmin * min      v(c) = c - offset, or values[c]
//
// in f32, each product and the difference rounded once: the bits that the `gguf` package gives (a
// NaN, of a scale that is one, where it gives a NaN).
// d and dmin are f16, scale and min whole numbers (1 where a format has none).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace sluice::tensor {

// How a group's scale is stored.
enum class BlockScale : uint8_t {
  kHalf,       // an f16 of its own
  kHalfTimes,  // an f16 of the block times a small whole number of the group
  kE8M0,       // a power of two: 2^(e - 128), as MXFP4 halves it for values that are doubled
};

struct BlockTraits {
  int group = 0;      // values of K under one scale: 16 or 32
  int code_bits = 0;  // 2, 3, 4, 5, 6 or 8
  int offset = 0;     // of v(c); 0 where `values` or a minimum says it
  bool has_min = false;
  BlockScale scale = BlockScale::kHalf;
  const int8_t* values = nullptr;  // [16] by code, or null
  bool nibble_scales = false;      // scale and min are 4 bits each
};

// Not `inline`: the objects of an ISA may share no symbol with the program.
constexpr int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                   1,    13,   25,  38,  53,  69,  89,  113};
// Twice the values of E2M1.
constexpr int8_t kE2m1Values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// By DType; the float formats have none.
constexpr std::array<BlockTraits, kDTypes> kBlockTraits = {{
    {},
    {},
    {},
    {},
    {.group = 32, .code_bits = 8, .offset = 128},    // Q8_0
    {.group = 32, .code_bits = 4, .offset = 8},      // Q4_0
    {.group = 32, .code_bits = 4, .has_min = true},  // Q4_1
    {.group = 32, .code_bits = 5, .offset = 16},     // Q5_0
    {.group = 32, .code_bits = 5, .has_min = true},  // Q5_1
    {.group = 16,
     .code_bits = 2,
     .has_min = true,
     .scale = BlockScale::kHalfTimes,
     .nibble_scales = true},                                                               // Q2_K
    {.group = 16, .code_bits = 3, .offset = 4, .scale = BlockScale::kHalfTimes},           // Q3_K
    {.group = 32, .code_bits = 4, .has_min = true, .scale = BlockScale::kHalfTimes},       // Q4_K
    {.group = 32, .code_bits = 5, .has_min = true, .scale = BlockScale::kHalfTimes},       // Q5_K
    {.group = 16, .code_bits = 6, .offset = 32, .scale = BlockScale::kHalfTimes},          // Q6_K
    {.group = 32, .code_bits = 4, .values = kIq4Values},                                   // IQ4_NL
    {.group = 32, .code_bits = 4, .scale = BlockScale::kHalfTimes, .values = kIq4Values},  // IQ4_XS
    {.group = 32, .code_bits = 4, .scale = BlockScale::kE8M0, .values = kE2m1Values},
}};

}  // namespace sluice::tensor
