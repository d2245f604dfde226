// d f16, dmin f16, 8 scales and minima of 6 bits in 12 bytes, the 256 codes' fifth bits (bit g of
// byte k is that of code 32 g + k), their lower 4 bits.
#include "tensor/blocks/bits.h"
#include "tensor/blocks/format.h"

namespace sluice::tensor {
namespace {

void take_apart(const uint8_t* block, BlockParts* parts) {
  parts->d = load_u16(block);
  parts->dmin = load_u16(block + 2);
  take_six_bit_scales(block + 4, parts);
  for (int pair = 0; pair < 4; ++pair)
    take_nibbles(block + 48 + 32 * pair, 32, parts->code.data() + 64 * pair);
  for (int group = 0; group < 8; ++group)
    take_bits(block + 16, group, 4, parts->code.data() + 32 * group);
}

}  // namespace

constinit const BlockFormat kQ5_KFormat = {
    {.group = 32, .code_bits = 5, .has_min = true, .scale = BlockScale::kHalfTimes}, take_apart};

}  // namespace sluice::tensor
