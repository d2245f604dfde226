// 16 bytes of scale (low 4 bits) and minimum (high 4 bits), 256 codes of 2 bits, d f16, dmin f16.
#include "tensor/blocks/bits.h"
#include "tensor/blocks/format.h"

namespace sluice::tensor {
namespace {

void take_apart(const uint8_t* block, BlockParts* parts) {
  for (size_t group = 0; group < 16; ++group) {
    parts->scale[group] = static_cast<int8_t>(block[group] & 0xf);
    parts->min[group] = block[group] >> 4;
  }
  take_pairs(block + 16, 32, parts->code.data());
  take_pairs(block + 48, 32, parts->code.data() + 128);
  parts->d = load_u16(block + 80);
  parts->dmin = load_u16(block + 82);
}

}  // namespace

constinit const BlockFormat kQ2_KFormat = {
    {.group = 16, .code_bits = 2, .has_min = true, .scale = BlockScale::kHalfTimes}, take_apart};

}  // namespace sluice::tensor
