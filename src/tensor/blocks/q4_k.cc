// d f16, dmin f16, 8 scales and minima of 6 bits in 12 bytes, 256 codes of 4 bits.
#include "tensor/blocks/bits.h"
#include "tensor/blocks/format.h"

namespace sluice::tensor {
namespace {

void take_apart(const uint8_t* block, BlockParts* parts) {
  parts->d = load_u16(block);
  parts->dmin = load_u16(block + 2);
  take_six_bit_scales(block + 4, parts);
  for (int pair = 0; pair < 4; ++pair)
    take_nibbles(block + 16 + 32 * pair, 32, parts->code.data() + 64 * pair);
}

}  // namespace

constinit const BlockFormat kQ4_KFormat = {
    {.group = 32, .code_bits = 4, .has_min = true, .scale = BlockScale::kHalfTimes}, take_apart};

}  // namespace sluice::tensor
