#include "planner/expert_split.h"

#include <algorithm>
#include <cmath>
#include <ranges>

#include "base/check.h"
#include "plan/fit.h"
#include "schedule/expert_place.h"
#include "schedule/paged_experts.h"

namespace sluice::planner {
namespace {

// One layer kind, as a schedule sees it whose pages lie on the host, all of them.
class Layer {
 public:
  Layer(const Subject& subject, const Candidate& candidate, const LayerKind& kind,
        const models::Load& load)
      : routing_(subject.layers.routings[static_cast<size_t>(kind.routing)]),
        layer_(static_cast<int16_t>(kind.layer)),
        rows_(static_cast<double>(load.tokens)),
        overlaps_(find_schedule(candidate.policy.schedule)->overlap != Overlap::kNone),
        costs_(subject.machine.costs),
        page_bytes_(page_bytes(subject.model, subject.weights)) {
    costs_.weights = subject.weights.bytes;
    costs_.weights.kv = candidate.kv_dtype;
    plan_.policy = candidate.policy;
    plan_.kv_dtype = candidate.kv_dtype;
    plan_.kv_block_tokens = plan::kKvBlockTokens;
    const double away = 1 - candidate.policy.resident_kv;
    const double blocks = static_cast<double>(load.context_tokens) / plan::kKvBlockTokens;
    context_ = {.model = &subject.model,
                .plan = &plan_,
                .batch = {.rows = load.tokens,
                          .visible_keys = load.visible_keys,
                          .context_tokens = load.context_tokens,
                          .logit_rows = load.logit_rows,
                          .kv = {.arriving_blocks = std::llround(away * blocks)}},
                .residency = {.share = subject.layers.share,
                              .page_bytes = page_bytes_,
                              .experts_per_layer = subject.model.max_experts()},
                .costs = &costs_};
  }

  ExpertSplit split() const {
    const int experts = routing_.experts();
    const int ahead = ahead_of_routing();
    ExpertSplit split{.ahead = static_cast<double>(ahead) / experts};
    schedule::ExpertLists lists = empty(ahead);
    // One expert that is hit stands for as many as are expected to be hit once between them.
    double hits = 0, tokens = 0, host_hits = 0, host_tokens = 0, all_hits = 0, all_tokens = 0;
    double share_before = -1, chance = 0;
    for (int e = ahead; e < experts; ++e) {
      if (routing_.shares()[static_cast<size_t>(e)] != share_before) {
        share_before = routing_.shares()[static_cast<size_t>(e)];
        chance = routing_.hit(e, rows_);
      }
      hits += chance;
      tokens += routing_.shares()[static_cast<size_t>(e)] * rows_;
      const bool last = e + 1 == experts;
      if (hits <= 0 || (hits < 1 && !last)) continue;
      const double share = last ? 1 : 1 / hits;
      if (!overlaps_) lists = empty(ahead);
      const auto each = static_cast<int32_t>(std::max(1.0, std::round(tokens / hits)));
      if (lists.on_host(each)) {
        host_hits += share * hits;
        host_tokens += share * tokens;
      }
      all_hits += share * hits;
      all_tokens += share * tokens;
      hits -= share * hits;
      tokens -= share * tokens;
    }
    if (all_hits > 0) split.host_hits = host_hits / all_hits;
    if (all_tokens > 0) split.host_tokens = host_tokens / all_tokens;
    return split;
  }

 private:
  schedule::ExpertLists empty(int ahead) const {
    return {context_, layer_, static_cast<size_t>(ahead)};
  }

  // Those that most likely will be needed, the most used, but for the least used of them that are
  // the host's.
  int ahead_of_routing() const {
    if (!overlaps_) return 0;
    const auto order = std::views::iota(0, routing_.experts());
    const auto last = std::ranges::partition_point(
        order, [&](int e) { return schedule::likely(context_, layer_, e); });
    const auto count = last - order.begin();
    schedule::ExpertSet likely;
    for (std::ptrdiff_t e = 0; e < count; ++e) likely.set(static_cast<size_t>(e));
    const auto host = schedule::experts_for_host(context_, layer_, likely).count();
    return static_cast<int>(count) - static_cast<int>(host);
  }

  const Routing& routing_;
  int16_t layer_;
  double rows_;
  bool overlaps_;
  schedule::CostModel costs_;
  std::vector<int64_t> page_bytes_;
  plan::Plan plan_;
  schedule::Context context_;
};

}  // namespace

ExpertSplit expert_split(const Subject& subject, const Candidate& candidate, const LayerKind& kind,
                         const models::Load& load) {
  switch (candidate.policy.experts_on) {
    case plan::Place::kDevice:
      return {.ahead = 1};
    case plan::Place::kHost:
      return {.ahead = 0, .host_hits = 1, .host_tokens = 1};
    case plan::Place::kAuto:
      return Layer(subject, candidate, kind, load).split();
  }
  base::check_failed("known place", "a Place outside its enum", __FILE__, __LINE__);
}

double resident_share(const Subject& subject, const Candidate& candidate, const LayerKind& kind) {
  const double slots = candidate.policy.resident_weights;
  if (!find_schedule(candidate.policy.schedule)->by_expert) return slots;
  const Routing& routing = subject.layers.routings[static_cast<size_t>(kind.routing)];
  return schedule::staying_share(subject.weights.fit.pages, routing.experts(), slots);
}

}  // namespace sluice::planner
