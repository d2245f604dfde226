#include "schedule/paged_experts.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"
#include "schedule/chain.h"
#include "schedule/stages.h"

namespace sluice::schedule {

using models::StageKind;

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

Event page_event(const Context& context, int layer, int expert) {
  return {.kind = Event::Kind::kPageResident,
          .layer = static_cast<int16_t>(layer),
          .micro_batch = static_cast<uint16_t>(context.micro_batch),
          .index = static_cast<uint32_t>(expert),
          .iteration = context.iteration};
}

TaskIndex add_page(const PagedLanes& lanes, const Context& context, int layer, int expert,
                   bool ahead, int64_t rank, Subgraph& out) {
  const Transfer page{.payload = Payload::kWeights,
                      .from = lanes.from,
                      .to = lanes.to,
                      .pages = {context.residency.page(layer, expert), 1},
                      .bytes = context.residency.page_bytes[static_cast<size_t>(layer)],
                      .ahead = ahead};
  const TaskIndex index = out.add({.work = page,
                                   .lane = lanes.pages,
                                   .layer = static_cast<int16_t>(layer),
                                   .micro_batch = static_cast<uint16_t>(context.micro_batch),
                                   .rank = rank});
  if (context.costs != nullptr) {
    out.tasks[index].predicted_ns = transfer_ns(*context.costs, lanes.pages, page);
  }
  return index;
}

// The positions behind the kept ones whose experts are needed, the most tokens first; the order
// does not change a bit of the result, since outputs are summed in the router's order.
struct Needed {
  int position = 0;
  int expert = 0;
  int32_t tokens = 0;
  bool ahead = false;  // its page has been moved, or is on its way
};

// One MoE layer behind its router, while it is built.
class Expansion {
 public:
  Expansion(const PagedLanes& lanes, const Context& context, int16_t layer,
            const RoutingOutcome& outcome, Subgraph& out)
      : lanes_(lanes), context_(context), layer_(layer), outcome_(outcome), out_(out) {
    dispatch_ = stage({.kind = StageKind::kDispatch, .layer = layer});
  }

  void add_kept(int count) {
    int32_t tokens = 0;
    for (int position = 0; position < count; ++position) {
      tokens +=
          outcome_
              .expert_tokens[static_cast<size_t>(context_.residency.expert_at(layer_, position))];
    }
    if (tokens > 0) group(0, count);
  }

  // An expert whose page has been moved ahead, or is asked for now: at once, or after the task
  // before.
  void add_moving(const Needed& needed, bool at_once) {
    const auto before = static_cast<TaskIndex>(out_.tasks.size() - 1);
    const TaskIndex page = needed.ahead ? kNone
                                        : add_page(lanes_, context_, layer_, needed.expert, false,
                                                   asked_rank(layer_), out_);
    if (page != kNone && !at_once) out_.after(Dependency::task(before));
    group(needed.position, 1);
    if (needed.ahead) {
      out_.wait(page_event(context_, layer_, needed.expert));
    } else {
      out_.after(Dependency::task(page));
    }
    out_.need({context_.residency.page(layer_, needed.expert), 1});
  }

  void finish(bool has_shared) {
    if (has_shared) {
      const TaskIndex shared = stage({.kind = StageKind::kShared, .layer = layer_});
      after_groups();
      stage({.kind = StageKind::kCombine, .layer = layer_});
      out_.after(Dependency::task(shared));
      return;
    }
    stage({.kind = StageKind::kCombine, .layer = layer_});
    after_groups();
  }

 private:
  TaskIndex stage(const models::Stage& stage) {
    const TaskIndex index = add_stage(context_, lanes_.compute, stage, &outcome_, out_);
    out_.tasks[index].rank = layer_;
    return index;
  }
  void group(int first, int count) {
    stage({.kind = StageKind::kExpertGroup,
           .layer = layer_,
           .first = static_cast<int16_t>(first),
           .count = static_cast<int16_t>(count)});
    out_.after(Dependency::task(dispatch_));
  }
  void after_groups() {
    const auto last = static_cast<TaskIndex>(out_.tasks.size() - 1);
    out_.after(Dependency::task(dispatch_));
    for (TaskIndex i = 0; i < last; ++i) {
      const models::Stage* work = out_.tasks[i].stage();
      if (work != nullptr && work->kind == StageKind::kExpertGroup) {
        out_.after(Dependency::task(i));
      }
    }
  }

  const PagedLanes& lanes_;
  const Context& context_;
  int16_t layer_;
  const RoutingOutcome& outcome_;
  Subgraph& out_;
  TaskIndex dispatch_;
};

}  // namespace

bool likely(const Context& context, int layer, int expert) {
  const models::FfnConfig& ffn = context.model->layers[static_cast<size_t>(layer)].ffn;
  const Residency& residency = context.residency;
  const double share = residency.share.empty() ? static_cast<double>(ffn.top_k) / ffn.experts
                                               : residency.share[residency.page(layer, expert)];
  const double missed = std::pow(1.0 - share, static_cast<double>(context.batch.rows));
  return 1.0 - missed >= kLeastProbability;
}

Bounds PagedExperts::expansion_bounds(const Context& context) const {
  const int experts = context.model->max_experts();
  const int moving = context.residency.moves() ? experts : 0;
  int64_t page = 0;
  for (int64_t bytes : context.residency.page_bytes) page = std::max(page, bytes);
  // dispatch, the kept experts, shared, combine; a read and a group for each other expert
  return {.tasks = 4 + 2 * moving,
          .dependencies = 4 + 4 * moving,
          .waits = moving,
          .pages = moving,
          .bytes = moving * page};
}

void PagedExperts::add_ahead(const Context& context, Subgraph& out) const {
  if (!context.residency.moves()) return;
  for (int layer = 0; layer < context.model->layer_count(); ++layer) {
    const int experts = context.model->layers[static_cast<size_t>(layer)].ffn.experts;
    for (int position = 0; position < experts; ++position) {
      const int expert = context.residency.expert_at(layer, position);
      if (!moves(lanes_, context, layer, expert) || !ahead(context, layer, expert)) continue;
      add_page(lanes_, context, layer, expert, true, ahead_rank(layer, position), out);
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
  Expansion expansion(lanes_, context, point.layer, outcome, out);
  const int kept = kept_experts(lanes_, context, point.layer, ffn.experts);
  expansion.add_kept(kept);
  std::array<Needed, models::kMaxExperts> needed;
  int count = 0;
  for (int position = kept; position < ffn.experts; ++position) {
    const int expert = context.residency.expert_at(point.layer, position);
    const int32_t tokens = outcome.expert_tokens[static_cast<size_t>(expert)];
    const bool moved = ahead(context, point.layer, expert);
    // What was moved ahead is released by its group, even if nobody needs it.
    if (tokens > 0 || moved) {
      needed[static_cast<size_t>(count++)] = {position, expert, tokens, moved};
    }
  }
  std::sort(needed.begin(), needed.begin() + count, [](const Needed& a, const Needed& b) {
    return a.tokens != b.tokens ? a.tokens > b.tokens : a.position < b.position;
  });
  for (int i = 0; i < count; ++i) {
    expansion.add_moving(needed[static_cast<size_t>(i)], overlaps());
  }
  expansion.finish(ffn.shared_inter > 0);
}

BuilderBounds PagedExperts::bounds(const Context& context) const {
  Bounds iteration = chain_bounds(context);
  return {iteration += ahead_bounds(context), expansion_bounds(context)};
}

}  // namespace sluice::schedule
