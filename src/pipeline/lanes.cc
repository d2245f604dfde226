#include "pipeline/lanes.h"

#include "schedule/task.h"

namespace sluice::pipeline {

using schedule::TaskRef;

void ThreadExecutor::State::run(Lock& lock, Lane which, TaskRef ref) {
  const schedule::Task& task = graph.task(ref);
  const TaskContext context = context_of(ref);
  TaskRunner& runner = *options.runners[static_cast<size_t>(which)];
  lock.unlock();
  const bool traced = options.trace != nullptr;
  const Clock::time_point start = traced ? Clock::now() : Clock::time_point();
  const Result<TaskResult> result = runner.run(task, context);
  const Clock::time_point end = traced ? Clock::now() : Clock::time_point();
  lock.lock();
  if (stop) return;  // the executor is going or gone, and what it borrowed with it
  if (traced) options.trace->record(task, context.ticket.iteration, start, end, result);
  if (result.ok()) {
    graph.complete(ref, result->routing);
  } else {
    graph.fail(ref, result.error());
  }
  if (task.pages.count > 0 || !result.ok()) wake_blocked();
}

TaskContext ThreadExecutor::State::context_of(TaskRef ref) const {
  return {graph.user(ref), graph.ticket(ref), graph.graph(ref).pages_of(graph.task(ref))};
}

void ThreadExecutor::State::wake_blocked() {
  progress.fetch_add(1, std::memory_order_release);
  for (size_t i = 0; i < lane.size(); ++i) {
    if (!lane[i].blocked) continue;
    lane[i].wake.notify_one();
    if (lane[i].polls) options.async_runners[i]->wake();
  }
}

void ThreadExecutor::State::wake() {
  progress.fetch_add(1, std::memory_order_release);
  if (graph.take_failed_end()) wake_blocked();
  const uint32_t woken = graph.take_woken();
  for (size_t i = 0; i < lane.size(); ++i) {
    if ((woken >> i & 1) == 0) continue;
    lane[i].wake.notify_one();
    if (lane[i].polls) options.async_runners[i]->wake();
  }
  if (host_sleeps) host_wake.notify_one();
}

void ThreadExecutor::State::lane_loop(const std::shared_ptr<State>& state, Lane which) {
  State& s = *state;
  LaneThread& self = s.lane[static_cast<size_t>(which)];
  Lock lock(s.mutex);
  while (true) {
    self.wake.wait(lock, [&] { return s.stop || s.graph.ready(which) > 0; });
    if (s.stop) break;
    TaskRef task;
    s.graph.take(which, task);
    self.running.push_back({task, Clock::now()});
    s.run(lock, which, task);
    self.running.clear();
    s.wake();
  }
  self.left = true;
  s.host_wake.notify_all();
}

const ThreadExecutor::State::Running* ThreadExecutor::State::overdue(Clock::time_point now,
                                                                     Lane& which) const {
  for (size_t i = 0; i < lane.size(); ++i) {
    for (const Running& running : lane[i].running) {
      if (now - running.started < timeout) continue;
      which = static_cast<Lane>(i);
      return &running;
    }
  }
  return nullptr;
}

Error ThreadExecutor::State::timed_out(Ticket ticket) const {
  const std::string limit = std::to_string(timeout.count()) + " ms (lane_timeout_ms)";
  Lane which{};
  if (const Running* hung = overdue(Clock::now(), which)) {
    return {ErrorCode::kTimeout, "task '" + label(graph.task(hung->task)) + "' on the lane " +
                                     name(which) + " has not ended within " + limit};
  }
  return {ErrorCode::kTimeout, "nothing has run for " + limit + ": " + graph.stalled(ticket)};
}

Error ThreadExecutor::State::still_running() const {
  for (size_t i = 0; i < lane.size(); ++i) {
    if (lane[i].running.empty()) continue;
    return {ErrorCode::kTimeout, "task '" + label(graph.task(lane[i].running.front().task)) +
                                     "' still runs on the lane " + name(static_cast<Lane>(i)) +
                                     ", " + std::to_string(timeout.count()) +
                                     " ms (lane_timeout_ms) after its iteration was given up"};
  }
  return {ErrorCode::kTimeout, "an iteration that was given up has not ended"};
}

Status ThreadExecutor::State::wait_for_progress(Lock& lock, Ticket ticket) {
  const uint64_t seen = progress.load(std::memory_order_relaxed);
  const Clock::time_point start = Clock::now();
  lock.unlock();
  const auto spin = std::chrono::microseconds(options.host_spin_us);
  while (progress.load(std::memory_order_acquire) == seen && Clock::now() - start < spin) {
    std::this_thread::yield();
  }
  lock.lock();
  const auto changed = [&] { return progress.load(std::memory_order_relaxed) != seen; };
  while (!changed()) {
    // The first moment at which a lane's task, or the stall itself, has lasted too long.
    bool busy = false;
    Clock::time_point deadline = Clock::time_point::max();
    for (const LaneThread& l : lane) {
      for (const Running& running : l.running) {
        deadline = std::min(deadline, running.started + timeout);
      }
      busy |= !l.running.empty();
    }
    if (!busy) deadline = start + timeout;
    if (Clock::now() >= deadline) return timed_out(ticket);
    host_sleeps = true;
    host_wake.wait_until(lock, deadline);
    host_sleeps = false;
  }
  return {};
}

}  // namespace sluice::pipeline
