// d f16, 32 codes of 4 bits.
#include "tensor/blocks/bits.h"
#include "tensor/blocks/fit_scale.h"
#include "tensor/blocks/format.h"

namespace sluice::tensor {
namespace {

void take_apart(const uint8_t* block, BlockParts* parts) {
  one_group(load_u16(block), parts);
  take_nibbles(block + 2, 16, parts->code.data());
}

constexpr EvenLevels kLevels{-8, 7};

// The largest value goes to the side that has a level more.
constexpr float kTargets[] = {-9, -8.6f, -8.2f, -7.8f, -7.4f, -7, -6.5f, -6};

void quantize(const float* values, uint8_t* block) {
  const float d = fit_scale(values, kLevels, kTargets);
  put_u16(f32_to_f16(d), block);
  float level[kRun];
  for (int half = 0; half < kRun; half += kLanes)
    kLevels.nearest(values + half, inverse_of(d), level + half);
  uint8_t code[kRun];
  for (int k = 0; k < kRun; ++k) code[k] = static_cast<uint8_t>(level[k] - kLevels.lowest);
  put_nibbles(code, 16, block + 2);
}

}  // namespace

constinit const BlockFormat kQ4_0Format = {
    {.group = 32, .code_bits = 4, .offset = 8, .scale = BlockScale::kHalf}, take_apart, quantize};

}  // namespace sluice::tensor
