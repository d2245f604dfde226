// The scale of a run of 32 values whose codes stand for fixed levels: w = d * level.
#pragma once

#include <cstdint>

#include "tensor/blocks/run.h"

namespace sluice::tensor {

// Levels that are all the whole numbers from `lowest` to `highest`.
struct EvenLevels {
  float lowest, highest;

  void nearest(const float* x, float inverse, float* level) const {
    for (int k = 0; k < kLanes; ++k)
      level[k] = round_to_whole(std::clamp(x[k] * inverse, lowest, highest));
  }
};

// Levels of a table, ascending.
template <int kCount>
struct TableLevels {
  float levels[kCount];
  float middle[kCount - 1];  // between each level and the next

  constexpr explicit TableLevels(const int8_t (&values)[kCount]) {
    for (int i = 0; i < kCount; ++i) levels[i] = values[i];
    for (int i = 0; i + 1 < kCount; ++i) middle[i] = 0.5f * (levels[i] + levels[i + 1]);
  }

  // Which levels are nearest.
  void ranks(const float* x, float inverse, int32_t* rank) const {
    float scaled[kLanes];
    for (int k = 0; k < kLanes; ++k) {
      scaled[k] = x[k] * inverse;
      rank[k] = 0;
    }
    for (float limit : middle) {
      for (int k = 0; k < kLanes; ++k) rank[k] += scaled[k] > limit ? 1 : 0;
    }
  }

  void nearest(const float* x, float inverse, float* level) const {
    int32_t rank[kLanes];
    ranks(x, inverse, rank);
    for (int k = 0; k < kLanes; ++k) level[k] = levels[rank[k]];
  }
};

struct FittedScale {
  float d;
  float gain;  // what it takes off the sum of squares
};

// Least squares: the d that is best for the levels that `inverse` chooses.
template <class Levels>
FittedScale refit(const float* x, float inverse, const Levels& levels) {
  float products[kLanes] = {};
  float squares[kLanes] = {};
  for (int half = 0; half < kRun; half += kLanes) {
    float level[kLanes];
    levels.nearest(x + half, inverse, level);
    for (int k = 0; k < kLanes; ++k) {
      products[k] += x[half + k] * level[k];
      squares[k] += level[k] * level[k];
    }
  }
  const float product = fold(products);
  const float square = fold(squares);
  if (square == 0) return {0, 0};
  return {product / square, product * product / square};
}

// An f16 number. `targets` are the levels, whole or not, that the largest value is tried at.
template <class Levels, int kTargets>
float fit_scale(const float* x, const Levels& levels, const float (&targets)[kTargets]) {
  const float peak = peak_of(x);
  if (std::fabs(peak) < kSmallestPeak) return 0;
  FittedScale best{0, 0};
  for (float target : targets) {
    const FittedScale fitted = refit(x, target / peak, levels);
    if (fitted.gain > best.gain) best = fitted;
  }
  // The better scale may choose better codes.
  const FittedScale again = refit(x, inverse_of(best.d), levels);
  return as_f16(again.gain > best.gain ? again.d : best.d);
}

}  // namespace sluice::tensor
