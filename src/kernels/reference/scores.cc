#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/reference/reference.h"

namespace sluice::kernels::reference {
namespace {

float sum_exp(const float* x, int64_t dim, float top) {
  float partial[16] = {};
  for (int64_t i = 0; i < dim; ++i) partial[i % 16] += exp(x[i] - top);
  return fold(partial);
}

}  // namespace

void route(const float* logits, int64_t ld_logits, int64_t tokens, int experts,
           const RouterRule& rule, int32_t* expert, float* weight) {
  for (int64_t t = 0; t < tokens; ++t) {
    const float* x = logits + t * ld_logits;
    const float top = *std::max_element(x, x + experts);
    const float sum = sum_exp(x, experts, top);
    std::vector<std::pair<float, int32_t>> order;  // (-score, expert)
    for (int32_t e = 0; e < experts; ++e) order.emplace_back(-(exp(x[e] - top) / sum), e);
    std::sort(order.begin(), order.end());
    float chosen = 0.0f;
    for (int k = 0; k < rule.top_k; ++k) {
      const auto& [score, index] = order[static_cast<size_t>(k)];
      expert[t * rule.top_k + k] = index;
      weight[t * rule.top_k + k] = -score;
      chosen += -score;
    }
    for (int k = 0; k < rule.top_k && rule.renormalize; ++k) weight[t * rule.top_k + k] /= chosen;
  }
}

void argmax(const float* logits, int64_t ld, int64_t rows, int64_t dim, int32_t* index) {
  for (int64_t row = 0; row < rows; ++row) {
    const float* x = logits + row * ld;
    index[row] = static_cast<int32_t>(std::max_element(x, x + dim) - x);
  }
}

void log_sum_exp(const float* logits, int64_t ld, int64_t rows, int64_t dim, float* out) {
  for (int64_t row = 0; row < rows; ++row) {
    const float* x = logits + row * ld;
    const float top = *std::max_element(x, x + dim);
    out[row] = top + static_cast<float>(std::log(static_cast<double>(sum_exp(x, dim, top))));
  }
}

}  // namespace sluice::kernels::reference
