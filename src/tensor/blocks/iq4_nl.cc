// d f16, 32 codes of 4 bits that stand for 16 values of a table.
#include "tensor/blocks/bits.h"
#include "tensor/blocks/fit_scale.h"
#include "tensor/blocks/format.h"
#include "tensor/blocks/iq4_values.h"

namespace sluice::tensor {
namespace {

void take_apart(const uint8_t* block, BlockParts* parts) {
  one_group(load_u16(block), parts);
  take_nibbles(block + 2, 16, parts->code.data());
}

constexpr TableLevels<16> kLevels{kIQ4Values};

constexpr float kTargets[] = {-140, -134, -128, -122, -116, -110, -104, -98,
                              95,   101,  107,  113,  119,  125,  131,  137};

void quantize(const float* values, uint8_t* block) {
  const float d = fit_scale(values, kLevels, kTargets);
  put_u16(f32_to_f16(d), block);
  uint8_t code[kRun];
  for (int half = 0; half < kRun; half += kLanes) {
    int32_t rank[kLanes];
    kLevels.ranks(values + half, inverse_of(d), rank);
    for (int k = 0; k < kLanes; ++k) code[half + k] = static_cast<uint8_t>(rank[k]);
  }
  put_nibbles(code, 16, block + 2);
}

}  // namespace

constinit const BlockFormat kIQ4_NLFormat = {
    {.group = 32, .code_bits = 4, .scale = BlockScale::kHalf, .values = kIQ4Values},
    take_apart,
    quantize};

}  // namespace sluice::tensor
