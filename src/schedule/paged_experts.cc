#include "schedule/paged_experts.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"
#include "schedule/chain.h"
#include "schedule/expert_expansion.h"
#include "schedule/expert_place.h"

namespace sluice::schedule {

namespace {

// A page that is moved in vain costs as much as one that is needed; one that is asked for late
// costs little while there are others to move.
constexpr double kLeastProbability = 0.9;

bool moves(const PagedLanes& lanes, const Context& context, int layer, int expert) {
  return context.residency.moves() && context.residency.expert(layer, expert) == lanes.from;
}

// Experts of the layer that are kept; they have the first positions.
int kept_experts(const PagedLanes& lanes, const Context& context, int layer, int experts) {
  int kept = 0;
  while (kept < experts &&
         !moves(lanes, context, layer, context.residency.expert_at(layer, kept))) {
    ++kept;
  }
  return kept;
}

}  // namespace

bool likely(const Context& context, int layer, int expert) {
  const auto rows = static_cast<double>(context.batch.rows * context.plan->micro_batches());
  const double missed = std::pow(1.0 - share_of(context, layer, expert), rows);
  return 1.0 - missed >= kLeastProbability;
}

Bounds PagedExperts::expansion_bounds(const Context& context) const {
  const int experts = context.model->max_experts();
  const int moving = context.residency.moves() ? experts : 0;
  int64_t page = 0;
  for (int64_t bytes : context.residency.page_bytes) page = std::max(page, bytes);
  // Dispatch, the kept experts, shared, combine, and on the host input and dispatch; for each other
  // expert a page and a group, or a group on the host and what comes of it.
  int64_t bytes = moving * page;
  if (lanes_.compute == Lane::kDeviceCompute) bytes += host_expert_bytes(context);
  return {.tasks = 6 + 2 * moving,
          .dependencies = 8 + 5 * moving,
          .waits = moving,
          .pages = moving,
          .bytes = bytes};
}

ExpertSet PagedExperts::moved_ahead(const Context& context, int layer) const {
  ExpertSet moving;
  const int experts = context.model->layers[static_cast<size_t>(layer)].ffn.experts;
  for (int expert = 0; expert < experts; ++expert) {
    if (moves(lanes_, context, layer, expert) && ahead(context, layer, expert)) {
      moving.set(static_cast<size_t>(expert));
    }
  }
  if (lanes_.compute != Lane::kDeviceCompute) return moving;
  return moving & ~experts_for_host(context, layer, moving);
}

void PagedExperts::add_ahead(const Context& context, Subgraph& out) const {
  if (!context.residency.moves()) return;
  for (int layer = 0; layer < context.model->layer_count(); ++layer) {
    const ExpertSet moved = moved_ahead(context, layer);
    const int experts = context.model->layers[static_cast<size_t>(layer)].ffn.experts;
    for (int position = 0; position < experts; ++position) {
      const int expert = context.residency.expert_at(layer, position);
      if (!moved[static_cast<size_t>(expert)]) continue;
      add_page(lanes_, context, layer, expert, Urgency::kAhead, ahead_rank(layer, position), out);
      out.signal({page_event(context, layer, expert), 1});
    }
  }
}

Bounds PagedExperts::ahead_bounds(const Context& context) const {
  Bounds bounds;
  if (!context.residency.moves()) return bounds;
  for (int layer = 0; layer < context.model->layer_count(); ++layer) {
    const int experts = context.model->layers[static_cast<size_t>(layer)].ffn.experts;
    bounds.tasks += experts;
    bounds.signals += experts;
    bounds.bytes += experts * context.residency.page_bytes[static_cast<size_t>(layer)];
  }
  return bounds;
}

void PagedExperts::iteration(const Context& context, Subgraph& out) const {
  chain_iteration(context, expansion_bounds(context), out);
  add_ahead(context, out);
}

void PagedExperts::expand(const Context& context, const ExpansionPoint& point,
                          const RoutingOutcome& outcome, Subgraph& out) const {
  const models::FfnConfig& ffn = context.model->layers[static_cast<size_t>(point.layer)].ffn;
  SLUICE_CHECK(outcome.expert_tokens.size() == static_cast<size_t>(ffn.experts),
               "routing states a count for every expert");
  ExpertExpansion expansion(lanes_, context, point.layer, outcome, overlaps(), out);
  const int kept = kept_experts(lanes_, context, point.layer, ffn.experts);
  expansion.add_kept(kept);
  const ExpertSet ahead = moved_ahead(context, point.layer);
  std::array<Needed, models::kMaxExperts> needed;
  int count = 0;
  for (int position = kept; position < ffn.experts; ++position) {
    const int expert = context.residency.expert_at(point.layer, position);
    const int32_t tokens = outcome.expert_tokens[static_cast<size_t>(expert)];
    const bool moved = ahead[static_cast<size_t>(expert)];
    // What was moved ahead is released by its group, even if nobody needs it.
    if (tokens > 0 || moved) {
      needed[static_cast<size_t>(count++)] = {position, expert, tokens, moved};
    }
  }
  std::sort(needed.begin(), needed.begin() + count, [](const Needed& a, const Needed& b) {
    return a.tokens != b.tokens ? a.tokens > b.tokens : a.position < b.position;
  });
  const ExpertLists empty(context, point.layer, ahead.count());
  ExpertLists lists = empty;
  for (const Needed& expert : std::span(needed).first(static_cast<size_t>(count))) {
    if (!overlaps()) lists = empty;
    if (lanes_.compute == Lane::kDeviceCompute && !expert.ahead && lists.on_host(expert.tokens)) {
      expansion.add_on_host(expert);
    } else {
      expansion.add_moving(expert);
    }
  }
  expansion.finish(ffn.shared_inter > 0);
}

BuilderBounds PagedExperts::bounds(const Context& context) const {
  Bounds iteration = chain_bounds(context);
  return {iteration += ahead_bounds(context), expansion_bounds(context)};
}

}  // namespace sluice::schedule
