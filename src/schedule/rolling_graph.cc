#include "schedule/rolling_graph.h"

#include <algorithm>

#include "base/check.h"

namespace sluice::schedule {

RollingGraph::RollingGraph(const GraphLimits& limits)
    : limits_(limits),
      flights_(static_cast<size_t>(limits.max_iterations_in_flight)),
      events_(limits.max_events,
              int64_t{limits.max_iterations_in_flight} * limits.max_iteration.waits) {
  const Bounds& b = limits.max_iteration;
  for (Flight& f : flights_) {
    f.graph.reserve(b);
    f.nodes.reserve(b.tasks);
    f.edges.reserve(b.dependencies);
    f.expansions.reserve(b.expansions);
  }
  const int64_t tasks = int64_t{b.tasks} * limits.max_iterations_in_flight;
  for (ReadyQueue& queue : ready_) queue.reserve(tasks);
  ended_.reserve(static_cast<size_t>(tasks));
  scratch_.reserve(limits.max_expansion);
}

RollingGraph::Flight& RollingGraph::flight(Ticket ticket) {
  SLUICE_CHECK(live(ticket), "a ticket is used until it is released");
  return flights_[ticket.slot];
}
const RollingGraph::Flight& RollingGraph::flight(Ticket ticket) const {
  return const_cast<RollingGraph*>(this)->flight(ticket);
}

bool RollingGraph::live(Ticket ticket) const {
  return ticket.slot < flights_.size() && flights_[ticket.slot].used &&
         !flights_[ticket.slot].abandoned && flights_[ticket.slot].iteration == ticket.iteration;
}

// Whether the built iteration fits what was reserved, and its lanes are there.
Status RollingGraph::admit(const Flight& f, uint32_t lanes) const {
  Bounds total = f.graph.size();
  int64_t events = total.waits + total.signals;
  for (const ExpansionPoint& point : f.graph.expansions) {
    total += point.bounds;
    events += point.bounds.waits + point.bounds.signals;
    if (!point.bounds.within(limits_.max_expansion)) {
      return Error{ErrorCode::kNoRoom, "an expansion needs up to " + to_string(point.bounds) +
                                           "; max_expansion is " +
                                           to_string(limits_.max_expansion)};
    }
  }
  if (!total.within(limits_.max_iteration)) {
    return Error{ErrorCode::kNoRoom, "an iteration needs up to " + to_string(total) +
                                         "; max_iteration is " + to_string(limits_.max_iteration)};
  }
  if (events > 0 && events_.size() + reserved_events_ + events > events_.capacity()) {
    return Error{ErrorCode::kNoRoom,
                 "an iteration names up to " + std::to_string(events) + " events, " +
                     std::to_string(events_.size() + reserved_events_) +
                     " are held; max_events is " + std::to_string(events_.capacity())};
  }
  for (const Task& task : f.graph.tasks) {
    if ((lanes >> static_cast<unsigned>(task.lane) & 1) == 0) {
      return Error{ErrorCode::kInvalid, "task '" + label(task) + "' needs the lane " +
                                            name(task.lane) + ", which this run does not have"};
    }
  }
  return {};
}

Result<Ticket> RollingGraph::submit(const Context& context, const Builder& builder, uint64_t user,
                                    uint32_t lanes) {
  const auto it = std::find_if(flights_.begin(), flights_.end(),
                               [](const Flight& candidate) { return !candidate.used; });
  if (it == flights_.end()) {
    return Error{ErrorCode::kNoRoom, std::to_string(flights_.size()) +
                                         " iterations are in flight; max_iterations_in_flight "
                                         "allows no more"};
  }
  Flight& f = *it;
  f.graph.clear();
  builder.iteration(context, f.graph);
  SLUICE_TRY(admit(f, lanes));
  f.nodes.clear();
  f.edges.clear();
  f.expansions.assign(f.graph.expansions.size(), Expansion{});
  f.context = context;
  f.builder = &builder;
  f.user = user;
  f.iteration = ++submitted_;
  f.reserved_events = 0;
  for (const ExpansionPoint& point : f.graph.expansions) {
    f.reserved_events += point.bounds.waits + point.bounds.signals;
  }
  reserved_events_ += f.reserved_events;
  f.remaining = 0;
  f.used = true;
  f.gated = f.graph.exclusive && in_flight_ > 0;
  f.abandoned = f.failed = f.given_up = false;
  f.cause = kNone;
  ++in_flight_;
  const auto slot = static_cast<uint32_t>(it - flights_.begin());
  link(slot, 0, kNone);
  if (f.graph.tasks.empty()) end_iteration(slot);
  return Ticket{slot, f.iteration};
}

void RollingGraph::add_edge(Flight& f, uint32_t& list, TaskIndex target) {
  f.edges.push_back({list, target});
  list = static_cast<uint32_t>(f.edges.size() - 1);
}

void RollingGraph::link_task(uint32_t slot, size_t index) {
  Flight& f = flights_[slot];
  const Task& task = f.graph.tasks[index];
  const auto target = static_cast<TaskIndex>(index);
  uint32_t pending = task.dependencies.count;
  for (Dependency d : f.graph.dependencies_of(task)) {
    SLUICE_CHECK(d.index() < index, "a task depends on earlier tasks only");
    if (d.after_expansion()) {
      const uint32_t expansion = f.graph.tasks[d.index()].expansion;
      SLUICE_CHECK(expansion != kNone, "only an expansion point has an end");
      add_edge(f, f.expansions[expansion].successors, target);
    } else {
      add_edge(f, f.nodes[d.index()].successors, target);
    }
  }
  f.nodes[index].pending = pending + task.waits.count;
  if (task.waits.count == 0) return;
  Error error;
  for (const Event& event : f.graph.waits_of(task)) {
    switch (events_.wait(event, {slot, target}, error)) {
      case EventTable::State::kPending:
        break;
      case EventTable::State::kDone:
        --f.nodes[index].pending;
        break;
      case EventTable::State::kFailed:
        --f.nodes[index].pending;
        doom({slot, target}, error);
        break;
    }
  }
}

// Makes nodes of the tasks from `first` on, and ready those that wait for nothing.
void RollingGraph::link(uint32_t slot, size_t first, uint32_t part_of) {
  Flight& f = flights_[slot];
  const size_t count = f.graph.tasks.size();
  f.nodes.resize(count);
  for (size_t i = first; i < count; ++i) f.nodes[i] = {.part_of = part_of};
  f.remaining += static_cast<uint32_t>(count - first);
  for (size_t i = first; i < count; ++i) link_task(slot, i);
  for (size_t i = first; i < count; ++i) {
    if (f.nodes[i].pending == 0 && f.nodes[i].state == State::kWaiting) {
      make_ready({slot, static_cast<TaskIndex>(i)});
    }
  }
  settle();
}

bool RollingGraph::take(Lane lane, TaskRef& task) {
  ReadyQueue& queue = ready_[static_cast<size_t>(lane)];
  if (queue.empty()) return false;
  task = queue.pop();
  flights_[task.slot].nodes[task.task].state = State::kRunning;
  return true;
}

bool RollingGraph::give_back(TaskRef ref) {
  Flight& f = flights_[ref.slot];
  Node& node = f.nodes[ref.task];
  SLUICE_CHECK(node.state == State::kRunning, "a task is given back after it was taken");
  const Task& task = f.graph.tasks[ref.task];
  if (f.failed) {
    node.state = State::kWaiting;
    doom(ref, f.error);
    settle();
    return false;
  }
  node.state = State::kReady;
  ready_[static_cast<size_t>(task.lane)].push({task.rank, f.iteration, ref});
  return true;
}

void RollingGraph::complete(TaskRef ref, const RoutingOutcome& routing) {
  Flight& f = flights_[ref.slot];
  Node& node = f.nodes[ref.task];
  SLUICE_CHECK(node.state == State::kRunning, "a task completes once, after it was taken");
  const bool grows = f.graph.tasks[ref.task].expansion != kNone;
  if (grows && f.failed) return fail(ref, f.error);
  if (grows) expand(ref, routing);
  node.state = State::kDone;
  ended_.push_back(ref);
  settle();
}

void RollingGraph::fail(TaskRef ref, const Error& error) {
  Flight& f = flights_[ref.slot];
  Node& node = f.nodes[ref.task];
  SLUICE_CHECK(node.state == State::kRunning, "a task fails once, after it was taken");
  node.state = State::kWaiting;
  if (!f.failed) f.cause = ref.task;
  doom(ref, error);
  settle();
}

void RollingGraph::cancel(Ticket ticket, const Error& error) {
  Flight& f = flight(ticket);
  if (f.remaining == 0) return;
  if (!f.failed) {
    f.failed = failing_ = true;
    f.error = error;
  }
  settle();
}

bool RollingGraph::ended(Ticket ticket) const { return flight(ticket).remaining == 0; }

std::optional<Task> RollingGraph::failed_task(Ticket ticket) const {
  const Flight& f = flight(ticket);
  return f.cause == kNone ? std::nullopt : std::optional(f.graph.tasks[f.cause]);
}

Status RollingGraph::release(Ticket ticket) {
  Flight& f = flight(ticket);
  Status status = f.failed ? Status(f.error) : Status();
  if (f.remaining == 0) {
    free_slot(f);
  } else {
    f.abandoned = true;
  }
  return status;
}

Status RollingGraph::signal(const Signal& signal, const Error* error) {
  if (events_.size() + reserved_events_ >= events_.capacity()) {
    return Error{ErrorCode::kNoRoom, "event " + to_string(signal.event) +
                                         " has no room; max_events is " +
                                         std::to_string(events_.capacity())};
  }
  events_.signal(signal, error, [&](TaskRef ref) {
    if (error != nullptr) doom(ref, *error);
    arrive(ref);
  });
  settle();
  return {};
}

void RollingGraph::clear_events() {
  SLUICE_CHECK(in_flight_ == 0, "events are forgotten only while nothing is in flight");
  events_.clear();
}

uint32_t RollingGraph::take_woken() {
  const uint32_t woken = woken_;
  woken_ = 0;
  return woken;
}

std::string RollingGraph::stalled(Ticket ticket) const {
  const Flight& f = flight(ticket);
  if (f.gated) return "the iteration waits for an earlier one to end";
  for (size_t i = 0; i < f.nodes.size(); ++i) {
    const Task& task = f.graph.tasks[i];
    if (f.nodes[i].state == State::kReady) {
      return "task '" + label(task) + "' is ready on the lane " + name(task.lane);
    }
    if (f.nodes[i].state == State::kWaiting && task.waits.count > 0) {
      return "task '" + label(task) + "' on the lane " + name(task.lane) + " waits for the event " +
             to_string(f.graph.waits_of(task).front()) + ", which nobody has signalled";
    }
  }
  return "no task is ready";
}

}  // namespace sluice::schedule
