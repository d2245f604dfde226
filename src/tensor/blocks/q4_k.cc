// d f16, dmin f16, 8 scales and minima of 6 bits in 12 bytes, 256 codes of 4 bits.
#include "tensor/blocks/bits.h"
#include "tensor/blocks/fit_line.h"
#include "tensor/blocks/format.h"
#include "tensor/blocks/run.h"

namespace sluice::tensor {
namespace {

void take_apart(const uint8_t* block, BlockParts* parts) {
  parts->d = load_u16(block);
  parts->dmin = load_u16(block + 2);
  take_six_bit_scales(block + 4, parts);
  for (int pair = 0; pair < 4; ++pair)
    take_nibbles(block + 16 + 32 * pair, 32, parts->code.data() + 64 * pair);
}

constexpr int kGroups = 8;
constexpr int kMostScale = 63;

// The whole numbers for a group's scale and minimum: those nearest to what was found, and their
// neighbours, whichever pair is best together.
void choose_scale(const float* values, const Line& found, float d, float dmin, int8_t* scale,
                  uint8_t* min) {
  const auto nearest = [](float value, float unit) {
    return std::min<float>(round_to_whole(value * inverse_of(unit)), kMostScale);
  };
  const float nearest_scale = nearest(found.d, d);
  const float nearest_min = nearest(-found.m, dmin);
  float least = -1;
  for (int i = 0; i < 9; ++i) {
    const float s = nearest_scale + static_cast<float>(i / 3 - 1);
    const float m = nearest_min + static_cast<float>(i % 3 - 1);
    if (s < 0 || s > kMostScale || m < 0 || m > kMostScale) continue;
    const float error = line_error(values, {d * s, -dmin * m});
    if (least >= 0 && error >= least) continue;
    least = error;
    *scale = static_cast<int8_t>(s);
    *min = static_cast<uint8_t>(m);
  }
}

void quantize(const float* values, uint8_t* block) {
  Line lines[kGroups];
  Line most{0, 0};
  for (int g = 0; g < kGroups; ++g) {
    lines[g] = fit_line(values + kRun * g, true);
    most = {std::max(most.d, lines[g].d), std::min(most.m, lines[g].m)};
  }
  const float d = as_f16(most.d / kMostScale);
  const float dmin = as_f16(-most.m / kMostScale);
  BlockParts parts;
  for (int g = 0; g < kGroups; ++g) {
    const auto at = static_cast<size_t>(g);
    choose_scale(values + kRun * g, lines[g], d, dmin, &parts.scale[at], &parts.min[at]);
    const Line line{d * static_cast<float>(parts.scale[at]),
                    -dmin * static_cast<float>(parts.min[at])};
    codes_on_line(values + kRun * g, line, parts.code.data() + kRun * g);
  }
  put_u16(f32_to_f16(d), block);
  put_u16(f32_to_f16(dmin), block + 2);
  put_six_bit_scales(parts, block + 4);
  for (int pair = 0; pair < 4; ++pair)
    put_nibbles(parts.code.data() + 64 * pair, 32, block + 16 + 32 * pair);
}

}  // namespace

constinit const BlockFormat kQ4_KFormat = {take_apart, quantize};

}  // namespace sluice::tensor
