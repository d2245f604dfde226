#include <cmath>

#include "base/check.h"
#include "kernels/ops.h"

namespace sluice::kernels {
namespace {

// Pairs of every head of one token.
void rotate(float* x, int heads, int head_dim, int half, const float* cosine, const float* sine) {
  for (int head = 0; head < heads; ++head) {
    float* low = x + int64_t{head} * head_dim;
    float* high = low + half;
    for (int i = 0; i < half; ++i) {
      const float a = low[i];
      const float b = high[i];
      low[i] = a * cosine[i] - b * sine[i];
      high[i] = b * cosine[i] + a * sine[i];
    }
  }
}

}  // namespace

void rope_angles(const Exec& exec, int64_t tokens, int rotary_dim, const int32_t* positions,
                 const float* inv_freq, int64_t ld_inv_freq, float scale,
                 const RopeAngles& angles) {
  SLUICE_CHECK(rotary_dim % 2 == 0, "pairs turn");
  const int half = rotary_dim / 2;
  exec.team->parallel_for(tokens, [&](int64_t token) {
    const float* frequency = inv_freq + token * ld_inv_freq;
    float* cosine = angles.cosine + token * half;
    float* sine = angles.sine + token * half;
    for (int i = 0; i < half; ++i) {
      const double angle =
          static_cast<double>(positions[token]) * static_cast<double>(frequency[i]);
      cosine[i] = static_cast<float>(std::cos(angle) * static_cast<double>(scale));
      sine[i] = static_cast<float>(std::sin(angle) * static_cast<double>(scale));
    }
  });
}

void rope(const Exec& exec, float* x, int64_t ld_x, int64_t tokens, int heads, int head_dim,
          int rotary_dim, const RopeAngles& angles) {
  SLUICE_CHECK(rotary_dim % 2 == 0 && rotary_dim <= head_dim, "an even part of the head turns");
  const int half = rotary_dim / 2;
  exec.team->parallel_for(tokens, [&](int64_t token) {
    rotate(x + token * ld_x, heads, head_dim, half, angles.cosine + token * half,
           angles.sine + token * half);
  });
}

}  // namespace sluice::kernels
