#include <cmath>

#include "base/check.h"
#include "kernels/ops.h"

namespace sluice::kernels {
namespace {

constexpr int kAnglesAtOnce = 64;  // angles are shared by a token's heads

// Pairs [first, first + count) of every head of one token.
void rotate(float* x, int heads, int head_dim, int half, int first, int count, const float* cosine,
            const float* sine) {
  for (int head = 0; head < heads; ++head) {
    float* low = x + int64_t{head} * head_dim + first;
    float* high = low + half;
    for (int i = 0; i < count; ++i) {
      const float a = low[i];
      const float b = high[i];
      low[i] = a * cosine[i] - b * sine[i];
      high[i] = b * cosine[i] + a * sine[i];
    }
  }
}

}  // namespace

void rope(const Exec& exec, float* x, int64_t ld_x, int64_t tokens, int heads, int head_dim,
          int rotary_dim, const int32_t* positions, const float* inv_freq, int64_t ld_inv_freq,
          float scale) {
  SLUICE_CHECK(rotary_dim % 2 == 0 && rotary_dim <= head_dim, "an even part of the head turns");
  const int half = rotary_dim / 2;
  exec.team->parallel_for(tokens, [&](int64_t token) {
    float cosine[kAnglesAtOnce];
    float sine[kAnglesAtOnce];
    const float* frequency = inv_freq + token * ld_inv_freq;
    for (int first = 0; first < half; first += kAnglesAtOnce) {
      const int count = std::min(kAnglesAtOnce, half - first);
      for (int i = 0; i < count; ++i) {
        const double angle =
            static_cast<double>(positions[token]) * static_cast<double>(frequency[first + i]);
        cosine[i] = static_cast<float>(std::cos(angle) * static_cast<double>(scale));
        sine[i] = static_cast<float>(std::sin(angle) * static_cast<double>(scale));
      }
      rotate(x + token * ld_x, heads, head_dim, half, first, count, cosine, sine);
    }
  });
}

}  // namespace sluice::kernels
