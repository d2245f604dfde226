// How a panel of a block format lies in memory. Free of code: every ISA's translation unit
// includes it.
//
// A panel is 16 output rows. K runs in spans of 32 values, eight steps of four. A chunk is 64
// bytes: for each of the 16 rows four neighbouring values of K, one byte each, so that a step's
// codes fill one register of AVX-512 or two of AVX2. A span's chunks hold, by the width of a code:
//
//   8 bits   chunk s: step s
//   4 bits   chunk c < 4: steps c and c + 4 in the low and the high nibble
//   5 bits   as 4 bits; then a chunk whose bit s is the fifth of step s
//   6 bits   as 4 bits; then two chunks, the upper two bits of steps 0..3 and 4..7
//   2 bits   chunk c < 2: steps 4 c .. 4 c + 3, two bits each from the lowest up
//   3 bits   as 2 bits; then a chunk whose bit s is the third of step s
//
// First all spans' chunks, then the scales (row by row inside each field):
//
//   kHalf       per span f16 d [16], and f16 dmin [16] where there is a minimum
//   kE8M0       per span the exponent byte [16]
//   kHalfTimes  per 256 values f16 d [16] (f16 dmin [16]), and for each group of them its whole
//               number: s8 scale [16] (u8 min [16]); Q2_K's share a byte, the minimum above
#pragma once

#include <cstdint>

#include "tensor/block_traits.h"

namespace sluice::kernels {

constexpr int kPanelRows = 16;
constexpr int kSpan = 32;        // values of K
constexpr int kSpanSteps = 8;    // of four values
constexpr int kChunkBytes = 64;  // 16 rows x 4 values

constexpr int64_t code_bytes(const tensor::BlockTraits& traits, int64_t cols) {
  return cols / kSpan * traits.code_bits * kChunkBytes;
}

// Bytes of the scales of 256 values (kHalfTimes) or of one span.
constexpr int64_t scale_unit_bytes(const tensor::BlockTraits& traits) {
  const int fields = traits.has_min ? 2 : 1;
  switch (traits.scale) {
    case tensor::BlockScale::kHalf:
      return 2 * kPanelRows * fields;
    case tensor::BlockScale::kE8M0:
      return kPanelRows;
    case tensor::BlockScale::kHalfTimes:
      return 2 * kPanelRows * fields +
             256 / traits.group * kPanelRows * (traits.nibble_scales ? 1 : fields);
  }
  return 0;
}
constexpr int64_t scale_unit_cols(const tensor::BlockTraits& traits) {
  return traits.scale == tensor::BlockScale::kHalfTimes ? 256 : kSpan;
}

}  // namespace sluice::kernels
