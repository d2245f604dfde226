#include "schedule/serial.h"

#include "base/check.h"
#include "schedule/chain.h"
#include "schedule/device_chain.h"
#include "schedule/paged_experts.h"

namespace sluice::schedule {

using models::StageKind;

namespace {

// dispatch, each expert, shared, combine
Bounds chain_expansion_bounds(int experts) {
  return {.tasks = 3 + experts, .dependencies = 2 + experts};
}

class SerialOnDevice final : public PagedExperts {
 public:
  SerialOnDevice() : PagedExperts(kDeviceLanes) {}
  const char* name() const override { return "serial"; }
  void iteration(const Context& context, Subgraph& out) const override {
    device_iteration(context, in_turn(context), expansion_bounds(context), out);
  }
  BuilderBounds bounds(const Context& context) const override {
    return {device_bounds(context, in_turn(context)), expansion_bounds(context)};
  }

 private:
  static Attention in_turn(const Context& context) {
    return {.on = context.plan->policy.attention_on, .ahead = false};
  }
  bool ahead(const Context&, int, int) const override { return false; }
  bool overlaps() const override { return false; }
};

const SerialOnDevice kOnDevice;

bool on_device(const Context& context) { return context.plan->device_bytes > 0; }

}  // namespace

void Serial::iteration(const Context& context, Subgraph& out) const {
  out.exclusive = true;
  if (on_device(context)) return kOnDevice.iteration(context, out);
  chain_iteration(context, chain_expansion_bounds(context.model->max_experts()), out, nullptr,
                  false);
}

void Serial::expand(const Context& context, const ExpansionPoint& point,
                    const RoutingOutcome& outcome, Subgraph& out) const {
  if (on_device(context)) return kOnDevice.expand(context, point, outcome, out);
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
  if (on_device(context)) return kOnDevice.bounds(context);
  return {chain_bounds(context), chain_expansion_bounds(context.model->max_experts())};
}

}  // namespace sluice::schedule
