// d f16, 32 codes of 4 bits that stand for 16 values of a table.
#include "tensor/blocks/bits.h"
#include "tensor/blocks/format.h"
#include "tensor/blocks/iq4_values.h"

namespace sluice::tensor {
namespace {

void take_apart(const uint8_t* block, BlockParts* parts) {
  one_group(load_u16(block), parts);
  take_nibbles(block + 2, 16, parts->code.data());
}

}  // namespace

constinit const BlockFormat kIQ4_NLFormat = {
    {.group = 32, .code_bits = 4, .scale = BlockScale::kHalf, .values = kIQ4Values}, take_apart};

}  // namespace sluice::tensor
