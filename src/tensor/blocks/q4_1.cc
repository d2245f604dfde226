// d f16, m f16, 32 codes of 4 bits; m is added.
#include "tensor/blocks/bits.h"
#include "tensor/blocks/fit_line.h"
#include "tensor/blocks/format.h"
#include "tensor/blocks/run.h"
#include "tensor/quantize.h"

namespace sluice::tensor {
namespace {

void take_apart(const uint8_t* block, BlockParts* parts) {
  one_group_and_minimum(load_u16(block), load_u16(block + 2), parts);
  take_nibbles(block + 4, 16, parts->code.data());
}

void quantize(const float* values, uint8_t* block) {
  Line line = fit_line(values, false);
  line.d = as_f16(line.d);
  line.m = as_f16(std::clamp(line.m, -kMaxQuantized, kMaxQuantized));
  put_u16(f32_to_f16(line.d), block);
  put_u16(f32_to_f16(line.m), block + 2);
  uint8_t code[kRun];
  codes_on_line(values, line, code);
  put_nibbles(code, 16, block + 4);
}

}  // namespace

constinit const BlockFormat kQ4_1Format = {
    {.group = 32, .code_bits = 4, .has_min = true, .scale = BlockScale::kHalf},
    take_apart,
    quantize};

}  // namespace sluice::tensor
