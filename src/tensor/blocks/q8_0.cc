// d f16, 32 signed bytes.
#include "tensor/blocks/bits.h"
#include "tensor/blocks/format.h"
#include "tensor/blocks/run.h"

namespace sluice::tensor {
namespace {

void take_apart(const uint8_t* block, BlockParts* parts) {
  one_group(load_u16(block), parts);
  for (size_t k = 0; k < 32; ++k) parts->code[k] = block[2 + k] ^ 0x80u;
}

// Rounded as gguf's quantize() does: by the scale before it is an f16, halves away from zero.
void quantize(const float* values, uint8_t* block) {
  const float d = std::fabs(peak_of(values)) / 127;
  const float inverse = d < 0x1p-126f ? 0.0f : 1.0f / d;
  put_u16(f32_to_f16(d), block);
  for (int k = 0; k < kRun; ++k) {
    const float scaled = values[k] * inverse;
    const float magnitude = std::fabs(scaled);
    const int whole = static_cast<int>(magnitude);
    const int rounded = whole + (magnitude - static_cast<float>(whole) >= 0.5f ? 1 : 0);
    block[2 + k] = static_cast<uint8_t>(scaled < 0 ? -rounded : rounded);
  }
}

}  // namespace

constinit const BlockFormat kQ8_0Format = {
    {.group = 32, .code_bits = 8, .offset = 128, .scale = BlockScale::kHalf}, take_apart, quantize};

}  // namespace sluice::tensor
