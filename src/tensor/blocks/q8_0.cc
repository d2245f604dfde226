// d f16, 32 signed bytes.
#include "tensor/blocks/bits.h"
#include "tensor/blocks/format.h"

namespace sluice::tensor {
namespace {

void take_apart(const uint8_t* block, BlockParts* parts) {
  one_group(load_u16(block), parts);
  for (size_t k = 0; k < 32; ++k) parts->code[k] = block[2 + k] ^ 0x80u;
}

}  // namespace

constinit const BlockFormat kQ8_0Format = {
    {.group = 32, .code_bits = 8, .offset = 128, .scale = BlockScale::kHalf}, take_apart};

}  // namespace sluice::tensor
