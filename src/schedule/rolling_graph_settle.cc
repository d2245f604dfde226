// How the end of a task is told to what depends on it.
#include "base/check.h"
#include "schedule/rolling_graph.h"

namespace sluice::schedule {

void RollingGraph::make_ready(TaskRef ref) {
  Flight& f = flights_[ref.slot];
  if (f.gated) return;
  const Task& task = f.graph.tasks[ref.task];
  f.nodes[ref.task].state = State::kReady;
  ready_[static_cast<size_t>(task.lane)].push({task.rank, f.iteration, ref});
  woken_ |= 1u << static_cast<unsigned>(task.lane);
}

// One dependency or event less to wait for.
void RollingGraph::arrive(TaskRef ref) {
  Node& node = flights_[ref.slot].nodes[ref.task];
  if (--node.pending == 0 && node.state == State::kWaiting) make_ready(ref);
}

// A task that will never run. Its successors are told by settle().
void RollingGraph::doom(TaskRef ref, const Error& cause) {
  Flight& f = flights_[ref.slot];
  Node& node = f.nodes[ref.task];
  if (node.state != State::kWaiting) return;
  node.state = State::kFailed;
  if (!f.failed) {
    f.failed = failing_ = true;
    f.error = cause;
  }
  ended_.push_back(ref);
}

// Of an iteration that has failed: what has not started never will.
void RollingGraph::give_up(uint32_t slot) {
  Flight& f = flights_[slot];
  f.given_up = true;
  if (f.remaining == 0) return;
  for (ReadyQueue& queue : ready_) queue.remove_iteration(f.iteration);
  for (size_t i = 0; i < f.nodes.size(); ++i) {
    Node& node = f.nodes[i];
    if (node.state == State::kReady) node.state = State::kWaiting;
    doom({slot, static_cast<TaskIndex>(i)}, f.error);
  }
}

void RollingGraph::settle() {
  while (!ended_.empty() || failing_) {
    if (ended_.empty()) {
      failing_ = false;
      for (uint32_t slot = 0; slot < flights_.size(); ++slot) {
        const Flight& f = flights_[slot];
        if (f.used && f.failed && !f.given_up) give_up(slot);
      }
      continue;
    }
    const TaskRef ref = ended_.back();
    ended_.pop_back();
    settle_task(ref);
  }
}

void RollingGraph::walk(uint32_t slot, uint32_t list, bool failed) {
  Flight& f = flights_[slot];
  for (uint32_t edge = list; edge != kNone; edge = f.edges[edge].next) {
    const TaskRef target{slot, f.edges[edge].target};
    if (failed) doom(target, f.error);
    arrive(target);
  }
}

void RollingGraph::settle_task(TaskRef ref) {
  Flight& f = flights_[ref.slot];
  const Node node = f.nodes[ref.task];
  const bool failed = node.state == State::kFailed;
  walk(ref.slot, node.successors, failed);
  const Task& task = f.graph.tasks[ref.task];
  if (failed) {
    for (const Event& event : f.graph.waits_of(task)) events_.withdraw(event, ref);
  }
  for (uint32_t i = 0; i < task.signals.count; ++i) {
    const Error* error = failed ? &f.error : nullptr;
    events_.signal(f.graph.signals[task.signals.first + i], error, [&](TaskRef waiter) {
      if (failed) doom(waiter, f.error);
      arrive(waiter);
    });
  }
  if (task.expansion != kNone && (failed || f.expansions[task.expansion].remaining == 0)) {
    f.expansions[task.expansion].failed |= failed;
    end_expansion(ref.slot, task.expansion);
  }
  if (node.part_of != kNone) {
    Expansion& expansion = f.expansions[node.part_of];
    expansion.failed |= failed;
    if (--expansion.remaining == 0) end_expansion(ref.slot, node.part_of);
  }
  if (--f.remaining == 0) end_iteration(ref.slot);
}

void RollingGraph::end_expansion(uint32_t slot, uint32_t expansion) {
  Expansion& e = flights_[slot].expansions[expansion];
  if (e.ended) return;
  e.ended = true;
  walk(slot, e.successors, e.failed);
}

void RollingGraph::expand(TaskRef ref, const RoutingOutcome& routing) {
  Flight& f = flights_[ref.slot];
  const ExpansionPoint point = f.graph.expansions[f.graph.tasks[ref.task].expansion];
  scratch_.clear();
  f.builder->expand(f.context, point, routing, scratch_);
  SLUICE_CHECK(scratch_.size().within(point.bounds), "an expansion keeps its bounds");
  const int64_t events = point.bounds.waits + point.bounds.signals;
  f.reserved_events -= events;
  reserved_events_ -= events;
  splice(ref.slot, point);
}

namespace {

Range moved(Range range, size_t base) {
  return {range.first + static_cast<uint32_t>(base), range.count};
}

template <class T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

void RollingGraph::splice(uint32_t slot, const ExpansionPoint& point) {
  Flight& f = flights_[slot];
  Subgraph& g = f.graph;
  const size_t base = g.tasks.size();
  for (const Task& task : scratch_.tasks) {
    Task& added = g.tasks.emplace_back(task);
    added.dependencies = moved(task.dependencies, g.dependencies.size());
    added.waits = moved(task.waits, g.waits.size());
    added.signals = moved(task.signals, g.signals.size());
    added.pages = moved(task.pages, g.pages.size());
    SLUICE_CHECK(task.expansion == kNone, "an expansion holds no expansion point");
  }
  for (Dependency d : scratch_.dependencies) {
    g.dependencies.push_back(d.moved(static_cast<uint32_t>(base)));
  }
  append(g.waits, scratch_.waits);
  append(g.signals, scratch_.signals);
  append(g.pages, scratch_.pages);
  const uint32_t expansion = g.tasks[point.task].expansion;
  f.expansions[expansion].remaining = static_cast<uint32_t>(g.tasks.size() - base);
  link(slot, base, expansion);
}

void RollingGraph::end_iteration(uint32_t slot) {
  Flight& f = flights_[slot];
  reserved_events_ -= f.reserved_events;
  f.reserved_events = 0;
  --in_flight_;
  if (f.failed) {
    failed_end_ = true;
    if (told_) told_(f.user);
  }
  if (f.abandoned) free_slot(f);
  open_gates();
}

// Lets exclusive iterations go that nothing earlier runs beside any more.
void RollingGraph::open_gates() {
  for (uint32_t slot = 0; slot < flights_.size(); ++slot) {
    Flight& f = flights_[slot];
    if (!f.used || !f.gated) continue;
    bool alone = true;
    for (const Flight& other : flights_) {
      alone &= !(other.used && other.remaining > 0 && other.iteration < f.iteration);
    }
    if (!alone) continue;
    f.gated = false;
    for (size_t i = 0; i < f.nodes.size(); ++i) {
      if (f.nodes[i].pending == 0 && f.nodes[i].state == State::kWaiting) {
        make_ready({slot, static_cast<TaskIndex>(i)});
      }
    }
  }
}

void RollingGraph::free_slot(Flight& f) {
  f.used = false;
  f.error = {};
}

}  // namespace sluice::schedule
