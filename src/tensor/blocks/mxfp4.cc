// An exponent byte, 32 codes of 4 bits: E2M1 floats, here doubled so that they are whole, under a
// scale that is halved. OCP Microscaling Formats, version 1.0; GPT-OSS stores its experts so.
#include <bit>

#include "tensor/blocks/bits.h"
#include "tensor/blocks/fit_scale.h"
#include "tensor/blocks/format.h"

namespace sluice::tensor {
namespace {

constexpr int8_t kValues[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

void take_apart(const uint8_t* block, BlockParts* parts) {
  one_group(block[0], parts);
  take_nibbles(block + 1, 16, parts->code.data());
}

// The 15 different values, and the codes of each.
constexpr int8_t kAscending[15] = {-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12};
constexpr uint8_t kCodes[15] = {15, 14, 13, 12, 11, 10, 9, 0, 1, 2, 3, 4, 5, 6, 7};
constexpr TableLevels<15> kLevels{kAscending};

float error_at(const float* values, int exponent) {
  const float scale = std::ldexp(1.0f, exponent - 128);
  float lanes[kLanes] = {};
  for (int half = 0; half < kRun; half += kLanes) {
    float level[kLanes];
    kLevels.nearest(values + half, 1 / scale, level);
    for (int k = 0; k < kLanes; ++k) {
      const float off = values[half + k] - scale * level[k];
      lanes[k] += off * off;
    }
  }
  return fold(lanes);
}

// Scales are powers of two; under the lower of the two tried, the largest value may lie up to a
// third beyond the last level.
void quantize(const float* values, uint8_t* block) {
  const auto peak = std::bit_cast<uint32_t>(std::fabs(peak_of(values)));
  int exponent = std::max(static_cast<int>(peak >> 23) - 2, 0);
  uint8_t code[kRun] = {};
  if (exponent > 0) {
    if (error_at(values, exponent + 1) < error_at(values, exponent)) ++exponent;
    for (int half = 0; half < kRun; half += kLanes) {
      int32_t rank[kLanes];
      kLevels.ranks(values + half, std::ldexp(1.0f, 128 - exponent), rank);
      for (int k = 0; k < kLanes; ++k) code[half + k] = kCodes[rank[k]];
    }
  }
  block[0] = static_cast<uint8_t>(exponent);
  put_nibbles(code, 16, block + 1);
}

}  // namespace

constinit const BlockFormat kMXFP4Format = {
    {.group = 32, .code_bits = 4, .scale = BlockScale::kE8M0, .values = kValues},
    take_apart,
    quantize};

}  // namespace sluice::tensor
