// Small graphs made in place, and a run of them to their end, for the tests of the rolling graph.
#pragma once

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <utility>
#include <vector>

#include "schedule/rolling_graph.h"

namespace sluice::schedule {

// A builder made of two functions.
class Made final : public Builder {
 public:
  using Iteration = std::function<void(const Context&, Subgraph&)>;
  using Expand = std::function<void(const Context&, const ExpansionPoint&, Subgraph&)>;
  explicit Made(Iteration iteration, Expand expand = {})
      : iteration_(std::move(iteration)), expand_(std::move(expand)) {}
  const char* name() const override { return "made"; }
  void iteration(const Context& c, Subgraph& out) const override { iteration_(c, out); }
  void expand(const Context& c, const ExpansionPoint& point, const RoutingOutcome&,
              Subgraph& out) const override {
    expand_(c, point, out);
  }
  BuilderBounds bounds(const Context&) const override { return {}; }

 private:
  Iteration iteration_;
  Expand expand_;
};

inline constexpr uint32_t kAllLanes = (1u << kLanes) - 1;
inline const Error kBroken{ErrorCode::kFault, "it broke"};

inline GraphLimits limits() {
  return {
      .max_iterations_in_flight = 4,
      .max_iteration =
          {.tasks = 16, .dependencies = 32, .waits = 8, .signals = 8, .pages = 8, .expansions = 4},
      .max_expansion = {.tasks = 8, .dependencies = 8, .waits = 4, .signals = 4},
      .max_events = 16};
}

// A host stage known by its layer.
inline void add(Subgraph& g, int16_t id, std::initializer_list<TaskIndex> after = {},
                Lane lane = Lane::kHostCompute) {
  g.add({.work = models::Stage{.kind = models::StageKind::kQkv, .layer = id},
         .lane = lane,
         .layer = id});
  for (TaskIndex index : after) g.after(Dependency::task(index));
}

// Runs every ready task of both compute lanes, failing those named; the ids in order.
inline std::vector<int> drain(RollingGraph& graph, std::vector<int> failing = {}) {
  std::vector<int> ran;
  TaskRef ref;
  while (graph.take(Lane::kHostCompute, ref) || graph.take(Lane::kDeviceCompute, ref)) {
    const int id = graph.task(ref).layer;
    ran.push_back(id);
    if (std::find(failing.begin(), failing.end(), id) != failing.end()) {
      graph.fail(ref, kBroken);
    } else {
      graph.complete(ref, {});
    }
  }
  return ran;
}

}  // namespace sluice::schedule
