#include "models/router.h"

#include <algorithm>

#include "base/check.h"

namespace sluice::models {
namespace {

void normalize(const ForwardContext& context, int layer, int64_t rows, const float* x,
               float* normed) {
  const int64_t hidden = context.config->hidden;
  kernels::rms_norm(context.exec, x, hidden,
                    context.weights->layers[static_cast<size_t>(layer)].ffn_norm,
                    context.config->norm_eps, rows, hidden, normed, hidden);
}

void choose(const ForwardContext& context, int layer, int64_t rows, const float* normed,
            float* logits, int32_t* expert, float* weight) {
  const FfnConfig& f = context.config->layers[static_cast<size_t>(layer)].ffn;
  kernels::linear(context.exec, context.weights->layers[static_cast<size_t>(layer)].router, normed,
                  context.config->hidden, rows, logits, f.experts);
  const kernels::RouterRule rule{.top_k = f.top_k, .renormalize = f.renormalize};
  kernels::route(context.exec, logits, f.experts, rows, f.experts, rule, expert, weight);
}

}  // namespace

void route(const ForwardContext& context, int layer, int64_t rows, Activations& act) {
  const FfnConfig& f = context.config->layers[static_cast<size_t>(layer)].ffn;
  normalize(context, layer, rows, act.x, act.normed);
  if (!f.is_moe()) return;
  choose(context, layer, rows, act.normed, act.router_logits, act.expert, act.expert_weight);
  std::fill_n(act.expert_tokens, f.experts, 0);
  for (int64_t i = 0; i < rows * f.top_k; ++i) ++act.expert_tokens[act.expert[i]];
}

void guess(const ForwardContext& context, int layer, int64_t rows, Activations& act) {
  SLUICE_CHECK(rows <= kMaxGuessRows, "a guess is made for few rows");
  const FfnConfig& f = context.config->layers[static_cast<size_t>(layer)].ffn;
  normalize(context, layer, rows, act.x, act.guess_normed);
  choose(context, layer, rows, act.guess_normed, act.guess_logits, act.guess_expert,
         act.guess_weight);
  std::fill_n(act.guess_points, f.experts, 0);
  for (int64_t i = 0; i < rows * f.top_k; ++i) {
    act.guess_points[act.guess_expert[i]] += f.top_k - static_cast<int32_t>(i % f.top_k);
  }
}

}  // namespace sluice::models
