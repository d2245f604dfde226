#include "schedule/serial.h"

#include "base/check.h"
#include "schedule/chain.h"

namespace sluice::schedule {

using models::StageKind;

namespace {

// dispatch, each expert, shared, combine
Bounds expansion_bounds(int experts) { return {.tasks = 3 + experts, .dependencies = 2 + experts}; }

}  // namespace

void Serial::iteration(const Context& context, Subgraph& out) const {
  out.exclusive = true;
  chain_iteration(context, expansion_bounds(context.model->max_experts()), out);
}

void Serial::expand(const Context& context, const ExpansionPoint& point,
                    const RoutingOutcome& outcome, Subgraph& out) const {
  const models::FfnConfig& ffn = context.model->layers[point.layer].ffn;
  SLUICE_CHECK(outcome.expert_tokens.size() == static_cast<size_t>(ffn.experts),
               "routing states a count for every expert");
  const int16_t layer = point.layer;
  Chain chain(context, out);
  chain.add({.kind = StageKind::kDispatch, .layer = layer});
  for (int16_t expert = 0; expert < ffn.experts; ++expert) {
    if (outcome.expert_tokens[expert] == 0) continue;
    chain.add({.kind = StageKind::kExpertGroup, .layer = layer, .first = expert, .count = 1},
              &outcome);
  }
  if (ffn.shared_inter > 0) chain.add({.kind = StageKind::kShared, .layer = layer});
  chain.add({.kind = StageKind::kCombine, .layer = layer});
}

BuilderBounds Serial::bounds(const Context& context) const {
  return {chain_bounds(context), expansion_bounds(context.model->max_experts())};
}

}  // namespace sluice::schedule
