#include "schedule/graph.h"

namespace sluice::schedule {

bool legal(Lane lane, const Task& task) {
  const Transfer* t = task.transfer();
  switch (lane) {
    case Lane::kDeviceCompute:
      return t == nullptr;
    case Lane::kHostCompute:
      return t == nullptr || (t->from == Level::kHost && t->to == Level::kStaging) ||
             (t->from == Level::kStaging && t->to == Level::kHost);
    case Lane::kHostToDevice:
      return t != nullptr && (t->from == Level::kHost || t->from == Level::kStaging) &&
             t->to == Level::kDevice;
    case Lane::kDeviceToHost:
      return t != nullptr && t->from == Level::kDevice &&
             (t->to == Level::kHost || t->to == Level::kStaging);
    case Lane::kDisk:
      return t != nullptr && (t->from == Level::kDisk) != (t->to == Level::kDisk);
    case Lane::kNetwork:
      return t != nullptr && (t->from == Level::kPeer) != (t->to == Level::kPeer);
  }
  return false;
}

namespace {

template <class T>
bool inside(Range range, const std::vector<T>& array) {
  return uint64_t{range.first} + range.count <= array.size();
}

Error wrong(size_t index, const Task& task, const std::string& what) {
  return {ErrorCode::kInvalid, "task " + std::to_string(index) + " (" + label(task) + ") " + what};
}

Status validate_task(const Subgraph& graph, size_t index) {
  const Task& task = graph.tasks[index];
  if (!inside(task.dependencies, graph.dependencies) || !inside(task.waits, graph.waits) ||
      !inside(task.signals, graph.signals) || !inside(task.pages, graph.pages)) {
    return wrong(index, task, "has a range that lies outside its array");
  }
  if (!legal(task.lane, task)) {
    return wrong(index, task, std::string("cannot run on the lane ") + name(task.lane));
  }
  for (Dependency d : graph.dependencies_of(task)) {
    if (d.index() >= index) {
      return wrong(index, task,
                   "depends on task " + std::to_string(d.index()) +
                       "; tasks may depend on earlier ones only");
    }
    if (d.after_expansion() && graph.tasks[d.index()].expansion == kNone) {
      return wrong(index, task,
                   "waits for the expansion of task " + std::to_string(d.index()) +
                       ", which does not expand");
    }
  }
  if (task.expansion != kNone && (task.expansion >= graph.expansions.size() ||
                                  graph.expansions[task.expansion].task != index)) {
    return wrong(index, task, "names an expansion point that is not its own");
  }
  return {};
}

}  // namespace

Status validate(const Subgraph& graph, const Bounds& bounds, bool nested) {
  for (size_t i = 0; i < graph.tasks.size(); ++i) SLUICE_TRY(validate_task(graph, i));
  for (const ExpansionPoint& point : graph.expansions) {
    if (nested) {
      return Error{ErrorCode::kInvalid, "an expansion holds an expansion point of its own"};
    }
    if (point.task >= graph.tasks.size()) {
      return Error{ErrorCode::kInvalid, "an expansion point names a task that is not there"};
    }
    if (point.bounds.expansions != 0) {
      return Error{ErrorCode::kInvalid, "an expansion point allows expansion points in it"};
    }
  }
  if (!graph.size().within(bounds)) {
    return Error{ErrorCode::kInvalid,
                 "the graph has " + to_string(graph.size()) + "; bounded to " + to_string(bounds)};
  }
  return {};
}

}  // namespace sluice::schedule
