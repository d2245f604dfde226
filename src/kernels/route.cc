#include "base/check.h"
#include "kernels/op_table.h"
#include "kernels/ops.h"

namespace sluice::kernels {
namespace {

constexpr float kTaken = -1.0f;  // below every score

// Takes the largest remaining score top_k times; the lower expert wins a tie, and where scores are
// not numbers. No expert is taken twice.
void choose(float* score, int experts, int top_k, int32_t* expert, float* weight) {
  for (int k = 0; k < top_k; ++k) {
    int best = -1;
    for (int e = 0; e < experts; ++e)
      if (score[e] != kTaken && (best < 0 || score[e] > score[best])) best = e;
    expert[k] = best;
    weight[k] = score[best];
    score[best] = kTaken;
  }
}

}  // namespace

void route(const Exec& exec, const float* logits, int64_t ld_logits, int64_t tokens, int experts,
           const RouterRule& rule, int32_t* expert, float* weight) {
  SLUICE_CHECK(experts >= 1 && experts <= kMaxExperts, "at most kMaxExperts experts");
  SLUICE_CHECK(rule.top_k >= 1 && rule.top_k <= experts, "top_k of the experts");
  constexpr int64_t kTokensPerItem = 16;
  exec.team->parallel_for((tokens + kTokensPerItem - 1) / kTokensPerItem, [&](int64_t item) {
    float score[kMaxExperts];
    const int64_t last = std::min(tokens, (item + 1) * kTokensPerItem);
    for (int64_t t = item * kTokensPerItem; t < last; ++t) {
      float* chosen = weight + t * rule.top_k;
      switch (rule.score) {
        case RouterRule::Score::kSoftmax:
          exec.ops->softmax(logits + t * ld_logits, experts, score);
      }
      choose(score, experts, rule.top_k, expert + t * rule.top_k, chosen);
      if (!rule.renormalize) continue;
      float sum = 0.0f;
      for (int k = 0; k < rule.top_k; ++k) sum += chosen[k];
      for (int k = 0; k < rule.top_k; ++k) chosen[k] /= sum;
    }
  });
}

}  // namespace sluice::kernels
