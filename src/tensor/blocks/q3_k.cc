// The 256 codes' third bits (bit r of byte k is that of code 32 r + k), their lower 2 bits, 16
// scales of 6 bits, less 32, in 12 bytes, d f16.
#include "tensor/blocks/bits.h"
#include "tensor/blocks/format.h"

namespace sluice::tensor {
namespace {

// Eight bytes hold two scales' low 4 bits each; four bytes hold four scales' high 2 bits.
void take_scales(const uint8_t* from, BlockParts* parts) {
  for (size_t group = 0; group < 16; ++group) {
    const int low = group < 8 ? from[group] & 0xf : from[group - 8] >> 4;
    const int high = (from[8 + group % 4] >> 2 * (group / 4)) & 3;
    parts->scale[group] = static_cast<int8_t>((low | high << 4) - 32);
  }
}

void take_apart(const uint8_t* block, BlockParts* parts) {
  take_pairs(block + 32, 32, parts->code.data());
  take_pairs(block + 64, 32, parts->code.data() + 128);
  for (int run = 0; run < 8; ++run) take_bits(block, run, 2, parts->code.data() + 32 * run);
  take_scales(block + 96, parts);
  no_minimum(16, parts);
  parts->d = load_u16(block + 108);
}

}  // namespace

constinit const BlockFormat kQ3_KFormat = {
    {.group = 16, .code_bits = 3, .offset = 4, .scale = BlockScale::kHalfTimes}, take_apart};

}  // namespace sluice::tensor
