// d f16, m f16, 32 codes of 4 bits; m is added.
#include "tensor/blocks/bits.h"
#include "tensor/blocks/format.h"

namespace sluice::tensor {
namespace {

void take_apart(const uint8_t* block, BlockParts* parts) {
  one_group_and_minimum(load_u16(block), load_u16(block + 2), parts);
  take_nibbles(block + 4, 16, parts->code.data());
}

}  // namespace

constinit const BlockFormat kQ4_1Format = {
    {.group = 32, .code_bits = 4, .has_min = true, .scale = BlockScale::kHalf}, take_apart};

}  // namespace sluice::tensor
