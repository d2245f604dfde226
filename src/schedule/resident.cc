#include "schedule/resident.h"

#include "base/check.h"
#include "schedule/chain.h"

namespace sluice::schedule {

using models::StageKind;

namespace {

// dispatch, expert_group, shared, combine
constexpr Bounds kExpansion{.tasks = 4, .dependencies = 3};

}  // namespace

void Resident::iteration(const Context& context, Subgraph& out) const {
  chain_iteration(context, kExpansion, out);
}

void Resident::expand(const Context& context, const ExpansionPoint& point,
                      const RoutingOutcome& outcome, Subgraph& out) const {
  const models::FfnConfig& ffn = context.model->layers[point.layer].ffn;
  SLUICE_CHECK(outcome.expert_tokens.size() == static_cast<size_t>(ffn.experts),
               "routing states a count for every expert");
  const int16_t layer = point.layer;
  Chain chain(context, out);
  chain.add({.kind = StageKind::kDispatch, .layer = layer});
  chain.add({.kind = StageKind::kExpertGroup,
             .layer = layer,
             .first = 0,
             .count = static_cast<int16_t>(ffn.experts)},
            &outcome);
  if (ffn.shared_inter > 0) chain.add({.kind = StageKind::kShared, .layer = layer});
  chain.add({.kind = StageKind::kCombine, .layer = layer});
}

BuilderBounds Resident::bounds(const Context& context) const {
  return {chain_bounds(context), kExpansion};
}

}  // namespace sluice::schedule
