// d f16, 8 scales of 6 bits, less 32 (a u16 with each one's upper 2 bits, 4 bytes with their lower
// 4), 256 codes of 4 bits, each 32 laid out as IQ4_NL's.
#include "tensor/blocks/bits.h"
#include "tensor/blocks/format.h"
#include "tensor/blocks/iq4_values.h"

namespace sluice::tensor {
namespace {

void take_apart(const uint8_t* block, BlockParts* parts) {
  parts->d = load_u16(block);
  const int upper = load_u16(block + 2);
  for (size_t group = 0; group < 8; ++group) {
    const int low = (block[4 + group / 2] >> 4 * (group % 2)) & 0xf;
    const int high = (upper >> 2 * group) & 3;
    parts->scale[group] = static_cast<int8_t>((low | high << 4) - 32);
    take_nibbles(block + 8 + 16 * group, 16, parts->code.data() + 32 * group);
  }
  no_minimum(8, parts);
}

}  // namespace

constinit const BlockFormat kIQ4_XSFormat = {
    {.group = 32, .code_bits = 4, .scale = BlockScale::kHalfTimes, .values = kIQ4Values},
    take_apart};

}  // namespace sluice::tensor
