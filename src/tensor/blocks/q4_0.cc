// d f16, 32 codes of 4 bits.
#include "tensor/blocks/bits.h"
#include "tensor/blocks/format.h"

namespace sluice::tensor {
namespace {

void take_apart(const uint8_t* block, BlockParts* parts) {
  one_group(load_u16(block), parts);
  take_nibbles(block + 2, 16, parts->code.data());
}

}  // namespace

constinit const BlockFormat kQ4_0Format = {
    {.group = 32, .code_bits = 4, .offset = 8, .scale = BlockScale::kHalf}, take_apart};

}  // namespace sluice::tensor
