// The thread of a lane whose tasks go on by themselves once they are started.
#include <algorithm>

#include "base/check.h"
#include "pipeline/lanes.h"

namespace sluice::pipeline {

using schedule::TaskRef;

namespace {

// poll() is left by wake() or an end; this bounds it should either be missed.
constexpr int64_t kPollMs = 200;
constexpr size_t kEndsAtOnce = 16;

// The bytes of a guess move on when its task has ended: its runner records them.
bool goes_on(const schedule::Task& task) {
  return task.transfer() != nullptr && task.transfer()->urgency == schedule::Urgency::kGuess;
}

}  // namespace

// False if nothing was ready, or what was ready found no room.
bool ThreadExecutor::State::start_next(Lock& lock, Lane which, uint64_t token) {
  LaneThread& self = lane[static_cast<size_t>(which)];
  TaskRef ref;
  self.blocked = false;
  if (!graph.take(which, ref)) return false;
  const schedule::Task& task = graph.task(ref);
  const TaskContext context = context_of(ref);
  self.running.push_back({ref, Clock::now(), token});
  lock.unlock();
  const Result<AsyncTaskRunner::Start> result =
      options.async_runners[static_cast<size_t>(which)]->start(task, context, token);
  lock.lock();
  if (result.ok() && *result == AsyncTaskRunner::Start::kNoRoom) {
    self.running.pop_back();
    if (stop) return false;
    self.blocked = graph.give_back(ref);
    if (!self.blocked) wake();
    return !self.blocked;
  }
  if (!result.ok() || *result == AsyncTaskRunner::Start::kDone) {
    end_started(which, {token, result.ok() ? Status() : result.error()});
    wake();
    wake_blocked();
  }
  return true;
}

void ThreadExecutor::State::end_started(Lane which, const AsyncTaskRunner::Ended& ended) {
  LaneThread& self = lane[static_cast<size_t>(which)];
  const auto found = std::find_if(self.running.begin(), self.running.end(),
                                  [&](const Running& r) { return r.token == ended.token; });
  SLUICE_CHECK(found != self.running.end(), "a runner ends what it was given, once");
  const Running running = *found;
  self.running.erase(found);
  if (stop) return;  // the executor is going, and what it borrowed with it
  const schedule::Task& task = graph.task(running.task);
  if (options.trace != nullptr && !goes_on(task)) {
    TaskResult done;
    if (task.transfer() != nullptr) done.bytes = static_cast<double>(task.transfer()->bytes);
    options.trace->record(task, graph.ticket(running.task).iteration, running.started, Clock::now(),
                          ended.status.ok() ? Result<TaskResult>(done) : ended.status.error());
  }
  if (ended.status.ok()) {
    graph.complete(running.task, {});
  } else {
    graph.fail(running.task, ended.status.error());
  }
}

void ThreadExecutor::State::poll_started(Lock& lock, Lane which,
                                         std::span<AsyncTaskRunner::Ended> ended) {
  LaneThread& self = lane[static_cast<size_t>(which)];
  self.polls = true;
  lock.unlock();
  const size_t count = options.async_runners[static_cast<size_t>(which)]->poll(ended, kPollMs);
  lock.lock();
  self.polls = false;
  for (size_t i = 0; i < count; ++i) end_started(which, ended[i]);
  if (count == 0 || stop) return;
  wake();
  wake_blocked();
}

void ThreadExecutor::State::async_lane_loop(const std::shared_ptr<State>& state, Lane which) {
  State& s = *state;
  LaneThread& self = s.lane[static_cast<size_t>(which)];
  const AsyncTaskRunner& runner = *s.options.async_runners[static_cast<size_t>(which)];
  const auto capacity = static_cast<size_t>(runner.capacity());
  std::array<AsyncTaskRunner::Ended, kEndsAtOnce> ended;
  uint64_t token = 0;
  Lock lock(s.mutex);
  while (!s.stop || !self.running.empty()) {
    if (!s.stop && self.running.size() < capacity) {
      // Room may come while start() is not under the lock.
      const uint64_t seen = s.progress.load(std::memory_order_relaxed);
      if (s.start_next(lock, which, ++token)) continue;
      if (self.blocked && s.progress.load(std::memory_order_relaxed) != seen) continue;
      if (self.running.empty() && runner.outlived() == 0) {
        self.wake.wait(lock, [&] {
          return s.stop || (self.blocked ? s.progress.load(std::memory_order_relaxed) != seen
                                         : s.graph.ready(which) > 0);
        });
        continue;
      }
    }
    s.poll_started(lock, which, ended);
  }
  self.left = true;
  s.host_wake.notify_all();
}

}  // namespace sluice::pipeline
