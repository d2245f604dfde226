// d f16, the 32 codes' fifth bits as one number of 32 bits, their lower 4 bits.
#include "tensor/blocks/bits.h"
#include "tensor/blocks/format.h"

namespace sluice::tensor {
namespace {

void take_apart(const uint8_t* block, BlockParts* parts) {
  one_group(load_u16(block), parts);
  take_nibbles(block + 6, 16, parts->code.data());
  take_fifth_bits(block + 2, parts->code.data());
}

}  // namespace

constinit const BlockFormat kQ5_0Format = {
    {.group = 32, .code_bits = 5, .offset = 16, .scale = BlockScale::kHalf}, take_apart};

}  // namespace sluice::tensor
