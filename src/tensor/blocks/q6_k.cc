// 256 codes' lower 4 bits, their upper 2 bits, 16 signed bytes of scales, d f16.
#include "tensor/blocks/bits.h"
#include "tensor/blocks/format.h"

namespace sluice::tensor {
namespace {

void take_apart(const uint8_t* block, BlockParts* parts) {
  for (int half = 0; half < 2; ++half) {
    uint8_t* code = parts->code.data() + 128 * half;
    take_nibbles(block + 64 * half, 64, code);
    uint8_t upper[128];
    take_pairs(block + 128 + 32 * half, 32, upper);
    for (int k = 0; k < 128; ++k) code[k] = static_cast<uint8_t>(code[k] | upper[k] << 4);
  }
  for (size_t group = 0; group < 16; ++group)
    parts->scale[group] = static_cast<int8_t>(block[192 + group]);
  no_minimum(16, parts);
  parts->d = load_u16(block + 208);
}

}  // namespace

constinit const BlockFormat kQ6_KFormat = {
    {.group = 16, .code_bits = 6, .offset = 32, .scale = BlockScale::kHalfTimes}, take_apart};

}  // namespace sluice::tensor
