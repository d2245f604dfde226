#include <cmath>
#include <vector>

#include "kernels/reference/reference.h"

namespace sluice::kernels::reference {
namespace {

// One chain of fused multiply-adds over K.
float dot(const std::vector<float>& w, const float* x) {
  float sum = 0.0f;
  for (size_t k = 0; k < w.size(); ++k) sum = std::fma(w[k], x[k], sum);
  return sum;
}

std::vector<float> row_of(const PackedMatrix& w, int64_t row) {
  std::vector<float> values(static_cast<size_t>(w.cols));
  unpack_row(w, row, values.data());
  return values;
}

}  // namespace

void linear(const PackedMatrix& w, const float* x, int64_t ld_x, int64_t tokens, float* y,
            int64_t ld_y, const LinearOptions& options) {
  for (int64_t r = 0; r < w.rows; ++r) {
    const std::vector<float> row = row_of(w, r);
    for (int64_t t = 0; t < tokens; ++t) {
      float product = dot(row, x + t * ld_x);
      if (options.bias != nullptr) product += options.bias[r];
      float& to = y[t * ld_y + r];
      to = options.accumulate ? to + product : product;
    }
  }
}

void expert_gate_up(std::span<const ExpertGroup> groups, const int32_t* token_of_slot,
                    const float* x, int64_t ld_x, float* hidden, int64_t ld_hidden) {
  for (const ExpertGroup& group : groups) {
    if (group.tokens == 0) continue;
    for (int64_t r = 0; r < group.gate->rows; ++r) {
      const std::vector<float> gate = row_of(*group.gate, r);
      const std::vector<float> up = row_of(*group.up, r);
      for (int64_t slot = group.first_slot; slot < group.first_slot + group.tokens; ++slot) {
        const float* token = x + token_of_slot[slot] * ld_x;
        const float g = dot(gate, token);
        hidden[slot * ld_hidden + r] = g / (1.0f + exp(-g)) * dot(up, token);
      }
    }
  }
}

void expert_down(std::span<const ExpertGroup> groups, const float* hidden, int64_t ld_hidden,
                 float* out, int64_t ld_out) {
  for (const ExpertGroup& group : groups) {
    if (group.tokens == 0) continue;
    linear(*group.down, hidden + group.first_slot * ld_hidden, ld_hidden, group.tokens,
           out + group.first_slot * ld_out, ld_out);
  }
}

}  // namespace sluice::kernels::reference
