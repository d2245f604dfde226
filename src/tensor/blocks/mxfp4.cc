// An exponent byte, 32 codes of 4 bits: E2M1 floats, here doubled so that they are whole, under a
// scale that is halved. OCP Microscaling Formats, version 1.0; GPT-OSS stores its experts so.
#include "tensor/blocks/bits.h"
#include "tensor/blocks/format.h"

namespace sluice::tensor {
namespace {

constexpr int8_t kValues[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

void take_apart(const uint8_t* block, BlockParts* parts) {
  one_group(block[0], parts);
  take_nibbles(block + 1, 16, parts->code.data());
}

}  // namespace

constinit const BlockFormat kMXFP4Format = {
    {.group = 32, .code_bits = 4, .scale = BlockScale::kE8M0, .values = kValues}, take_apart};

}  // namespace sluice::tensor
