#include <bit>
#include <cmath>

#include "kernels/reference/reference.h"

namespace sluice::kernels::reference {
namespace {

float power_of_two(float n) { return std::bit_cast<float>((static_cast<int32_t>(n) + 127) << 23); }

// To the nearest whole number, ties to even, for |x| < 2^22.
float nearest(float x) { return (x + 0x1.8p23f) - 0x1.8p23f; }

}  // namespace

float exp(float x) {
  if (std::isnan(x)) return x;
  if (x < -87.33654f) return 0.0f;
  const float bounded = x < 89.0f ? x : 89.0f;
  const float n = std::fma(bounded, 0x1.715476p0f, 0x1.8p23f) - 0x1.8p23f;
  float r = std::fma(n, -0x1.62e4p-1f, bounded);
  r = std::fma(n, -0x1.7f7d1cp-20f, r);
  float y = 1.0f / 5040.0f;
  for (float coefficient :
       {1.0f / 720.0f, 1.0f / 120.0f, 1.0f / 24.0f, 1.0f / 6.0f, 0.5f, 1.0f, 1.0f}) {
    y = std::fma(y, r, coefficient);
  }
  const float half = nearest(n * 0.5f);
  return y * power_of_two(half) * power_of_two(n - half);
}

float fold(const float (&partial)[16]) {
  float v[16];
  for (int i = 0; i < 16; ++i) v[i] = partial[i];
  for (int width = 8; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) v[i] = v[i] + v[i + width];
  return v[0];
}

}  // namespace sluice::kernels::reference
