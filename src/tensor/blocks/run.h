// Sums over the 32 values under one scale, in 16 lanes folded in halves: the same on every machine,
// and the compiler may use its vectors.
#pragma once

#include <algorithm>
#include <cmath>

#include "tensor/float.h"

namespace sluice::tensor {

constexpr int kRun = 32;
constexpr int kLanes = 16;

// Below this a run is zero: f16, the type of scales, has nothing so small.
constexpr float kSmallestPeak = 0x1p-40f;

inline float fold(float (&lanes)[kLanes]) {
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int lane = 0; lane < width; ++lane) lanes[lane] += lanes[lane + width];
  }
  return lanes[0];
}

// To the nearest whole number, ties to even, of |x| < 2^22: adding 1.5 * 2^23 leaves no bits for a
// fraction.
inline float round_to_whole(float x) { return (x + 0x1.8p23f) - 0x1.8p23f; }

// The value of largest magnitude, with its sign; the first of several.
inline float peak_of(const float* x) {
  float peak = 0;
  for (int k = 0; k < kRun; ++k) {
    if (std::fabs(x[k]) > std::fabs(peak)) peak = x[k];
  }
  return peak;
}

inline float as_f16(float x) { return f16_to_f32(f32_to_f16(x)); }

inline float inverse_of(float scale) { return scale == 0 ? 0.0f : 1.0f / scale; }

}  // namespace sluice::tensor
