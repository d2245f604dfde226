#include "sim/virtual_executor.h"

#include <algorithm>
#include <string>

namespace sluice::sim {

using pipeline::Ticket;
using schedule::TaskRef;

VirtualExecutor::VirtualExecutor(World& world, Watch& watch, const LanePace& pace,
                                 const pipeline::ExecutorOptions& options)
    : world_(world), watch_(watch), pace_(pace), options_(options), graph_(options.limits) {
  graph_.on_failed_end(options.on_failed_end);
  for (size_t i = 0; i < lanes_.size(); ++i) {
    Lane& lane = lanes_[i];
    lane.async = options.async_runners[i] != nullptr;
    lane.present = lane.async || options.runners[i] != nullptr;
    if (lane.async) lane.capacity = static_cast<size_t>(options.async_runners[i]->capacity());
    if (lane.present) present_ |= 1u << i;
  }
}

Result<Ticket> VirtualExecutor::submit(const schedule::Context& context,
                                       const schedule::Builder& builder, uint64_t user) {
  // The other lanes go on while the caller was busy with something else.
  pump(world_.random.delay_ns(pace_.task_ns));
  if (world_.dead()) return World::killed();
  Result<Ticket> ticket = graph_.submit(context, builder, user, present_);
  world_.event("iteration " + std::to_string(context.iteration) + " of micro-batch " +
               std::to_string(context.micro_batch) + ", " + std::to_string(context.batch.rows) +
               " rows");
  ++world_.counts[Happening::kIteration];
  woken();
  return ticket;
}

Status VirtualExecutor::wait(Ticket ticket, std::optional<schedule::Task>* failed_task) {
  Status hung;
  Time since = world_.clock.now();
  const auto host_runs = [&] { return !lane(schedule::Lane::kHostCompute).running.empty(); };
  while (hung.ok() && !world_.dead() && (!graph_.ended(ticket) || host_runs())) {
    if (act(!graph_.ended(ticket))) {
      since = world_.clock.now();
    } else {
      hung = wait_longer(ticket, since);
    }
  }
  if (world_.dead()) return World::killed();
  if (!hung.ok()) {
    graph_.cancel(ticket, hung.error());
    woken();
    wake_blocked();
  }
  if (failed_task != nullptr) *failed_task = graph_.failed_task(ticket);
  const Status status = graph_.release(ticket);
  return hung.ok() ? status : hung;
}

// To the next moment at which something happens, or to the limit of what waits.
Status VirtualExecutor::wait_longer(Ticket ticket, Time since) {
  const auto limit = std::chrono::milliseconds(options_.lane_timeout_ms);
  rest();
  const Running* longest = nullptr;
  for (size_t i = 0; i < lanes_.size(); ++i) {
    if (static_cast<schedule::Lane>(i) == schedule::Lane::kHostCompute) continue;
    for (const Running& running : lanes_[i].running) {
      if (longest == nullptr || running.started < longest->started) longest = &running;
    }
  }
  const bool host_runs = !lane(schedule::Lane::kHostCompute).running.empty();
  const Time deadline = longest != nullptr ? longest->started + limit
                        : host_runs        ? Time::max()
                                           : since + limit;
  const std::optional<Time> next = world_.clock.next_alarm();
  if (next && *next <= deadline) {
    go_to(*next);
    return {};
  }
  if (deadline == Time::max()) {
    world_.violated("a task of host compute has no end");
    world_.die("stopped: broken");
    return {};
  }
  go_to(deadline);
  const std::string ms = std::to_string(options_.lane_timeout_ms) + " ms";
  if (longest != nullptr) {
    return Error{ErrorCode::kTimeout,
                 "task '" + label(graph_.task(longest->task)) + "' has not ended within " + ms};
  }
  const std::string stalled = "nothing has run for " + ms + ": " + graph_.stalled(ticket);
  // Reads that hang keep their slots, whoever needs one.
  bool reads_hang = false;
  for (size_t i = 0; i < lanes_.size(); ++i) {
    reads_hang |= lanes_[i].async && outlived(static_cast<schedule::Lane>(i)) > 0;
  }
  if (!reads_hang) world_.violated("hang: " + stalled);
  return Error{ErrorCode::kTimeout, stalled};
}

// After a failure: what still runs of iterations that were given up ends first, or is late.
Status VirtualExecutor::clear_events() {
  const Time limit = world_.clock.now() + std::chrono::milliseconds(options_.lane_timeout_ms);
  while (!world_.dead() && graph_.in_flight() > 0) {
    if (act(false)) continue;
    rest();
    const std::optional<Time> next = world_.clock.next_alarm();
    if (!next || *next > limit) {
      go_to(limit);
      return Error{ErrorCode::kTimeout, "a task of an iteration that was given up still runs"};
    }
    go_to(*next);
  }
  if (world_.dead()) return World::killed();
  graph_.clear_events();
  return {};
}

void VirtualExecutor::cancel(Ticket ticket) {
  graph_.cancel(ticket, {ErrorCode::kCancelled, "the iteration was cancelled"});
  woken();
  wake_blocked();
}

Status VirtualExecutor::signal(const schedule::Signal& signal, const Error* error) {
  const Status status = graph_.signal(signal, error);
  woken();
  return status;
}

// One thing that can happen now, drawn. False if there is none.
bool VirtualExecutor::act(bool host) {
  choices_.clear();
  for (size_t i = 0; i < lanes_.size(); ++i)
    consider(static_cast<schedule::Lane>(i), host, choices_);
  if (choices_.empty()) return false;
  const Choice choice = world_.random.pick(choices_);
  switch (choice.act) {
    case Act::kStart:
      start(choice.lane);
      break;
    case Act::kEnd:
      end_compute(choice.lane);
      break;
    case Act::kPoll:
      poll(choice.lane);
      break;
  }
  return true;
}

void VirtualExecutor::consider(schedule::Lane which, bool host, std::vector<Choice>& choices) {
  Lane& l = lane(which);
  if (!l.present) return;
  if (l.async && l.look && (!l.running.empty() || outlived(which) > 0))
    choices.push_back({which, Act::kPoll});
  if (!l.async && !l.running.empty() && l.running.front().end <= world_.clock.now())
    choices.push_back({which, Act::kEnd});
  if (which == schedule::Lane::kHostCompute && !host) return;
  if (l.running.size() == l.capacity || graph_.ready(which) == 0) return;
  if (l.blocked && !l.retry) return;
  if (l.asleep_until <= world_.clock.now()) choices.push_back({which, Act::kStart});
}

// As threads are woken: a lane for which something became ready looks for work.
void VirtualExecutor::woken() {
  if (graph_.take_failed_end()) wake_blocked();
  const uint32_t lanes = graph_.take_woken();
  for (size_t i = 0; i < lanes_.size(); ++i) {
    if ((lanes >> i & 1) != 0) lanes_[i].retry = true;
  }
}

void VirtualExecutor::wake_blocked() {
  if (pace_.mutation == Mutation::kLosesWakeUps) return;
  for (Lane& l : lanes_) l.retry = true;
}

void VirtualExecutor::go_to(Time then) {
  world_.clock.go_to(then);
  for (Lane& l : lanes_) l.look = true;
}

// Nothing can happen at this moment: nobody is idle who need not be. A task whose work was done at
// its beginning has given its pages back, and will say so at its end.
void VirtualExecutor::rest() {
  watch_.at_rest();
  for (const Lane& l : lanes_) {
    if (!l.running.empty() && !l.running.front().places.empty() && l.running.front().done) return;
  }
  for (size_t i = 0; i < lanes_.size(); ++i) {
    const Lane& l = lanes_[i];
    const bool full = l.running.size() == l.capacity;
    if (l.blocked && !l.retry && !full) watch_.still_blocked(*l.blocked);
  }
}

// Lanes with threads of their own go on for so long.
void VirtualExecutor::pump(int64_t ns) {
  const Time until = world_.clock.now() + std::chrono::nanoseconds(ns);
  while (!world_.dead()) {
    if (act(false)) continue;
    rest();
    const std::optional<Time> next = world_.clock.next_alarm();
    if (!next || *next > until) break;
    go_to(*next);
  }
  go_to(until);
}

pipeline::TaskContext VirtualExecutor::context_of(TaskRef ref) const {
  return {graph_.user(ref), graph_.ticket(ref), graph_.graph(ref).pages_of(graph_.task(ref))};
}

}  // namespace sluice::sim
