#include <algorithm>
#include <cmath>

#include "kernels/reference/reference.h"

namespace sluice::kernels::reference {

void rms_norm(const float* x, int64_t ld_x, const float* weight, float eps, int64_t rows,
              int64_t dim, float* y, int64_t ld_y) {
  for (int64_t row = 0; row < rows; ++row) {
    const float* from = x + row * ld_x;
    float partial[16] = {};
    for (int64_t i = 0; i < dim; ++i) partial[i % 16] = std::fma(from[i], from[i], partial[i % 16]);
    const float scale = 1.0f / std::sqrt(fold(partial) / static_cast<float>(dim) + eps);
    for (int64_t i = 0; i < dim; ++i) y[row * ld_y + i] = from[i] * scale * weight[i];
  }
}

void combine(const float* out, int64_t ld_out, const int32_t* slot_of, const float* weight,
             int64_t tokens, int top_k, int64_t dim, float* y, int64_t ld_y) {
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t i = 0; i < dim; ++i) {
      float sum = 0.0f;
      for (int64_t k = t * top_k; k < (t + 1) * top_k; ++k)
        sum = std::fma(weight[k], out[slot_of[k] * ld_out + i], sum);
      y[t * ld_y + i] += sum;
    }
  }
}

void silu_mul(const float* gate, int64_t ld_gate, const float* up, int64_t ld_up, int64_t rows,
              int64_t dim, float* y, int64_t ld_y) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < dim; ++i) {
      const float g = gate[row * ld_gate + i];
      y[row * ld_y + i] = g / (1.0f + exp(-g)) * up[row * ld_up + i];
    }
  }
}

void rope(float* x, int64_t ld_x, int64_t tokens, int heads, int head_dim, int rotary_dim,
          const int32_t* positions, const float* inv_freq, int64_t ld_inv_freq, float scale) {
  const int half = rotary_dim / 2;
  for (int64_t t = 0; t < tokens; ++t) {
    for (int head = 0; head < heads; ++head) {
      for (int i = 0; i < half; ++i) {
        const double angle = double{inv_freq[t * ld_inv_freq + i]} * positions[t];
        const auto cosine = static_cast<float>(std::cos(angle) * double{scale});
        const auto sine = static_cast<float>(std::sin(angle) * double{scale});
        float& low = x[t * ld_x + head * head_dim + i];
        float& high = x[t * ld_x + head * head_dim + i + half];
        const float turned = low * cosine - high * sine;
        high = high * cosine + low * sine;
        low = turned;
      }
    }
  }
}

void embed(const PackedMatrix& table, const int32_t* ids, int64_t tokens, float* out,
           int64_t ld_out) {
  for (int64_t t = 0; t < tokens; ++t) unpack_row(table, ids[t], out + t * ld_out);
}

void add(const float* x, int64_t ld_x, int64_t rows, int64_t dim, float* y, int64_t ld_y) {
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t i = 0; i < dim; ++i) y[row * ld_y + i] += x[row * ld_x + i];
}

void clamp(float* x, int64_t ld_x, int64_t rows, int64_t dim, float limit) {
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t i = 0; i < dim; ++i)
      x[row * ld_x + i] = std::min(std::max(x[row * ld_x + i], -limit), limit);
}

}  // namespace sluice::kernels::reference
