// What the executor's caller and its lane threads share, all under one lock.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "pipeline/thread_executor.h"
#include "pipeline/trace.h"

namespace sluice::pipeline {

using Clock = std::chrono::steady_clock;
using Lock = std::unique_lock<std::mutex>;

struct ThreadExecutor::State {
  explicit State(const ExecutorOptions& given)
      : options(given), timeout(given.lane_timeout_ms), graph(given.limits) {}

  struct Running {
    schedule::TaskRef task;
    Clock::time_point started;
    uint64_t token = 0;
  };

  // A lane with a thread of its own.
  struct LaneThread {
    std::thread thread;
    std::condition_variable wake;
    std::vector<Running> running;  // oldest first; of a lane that is not asynchronous one at most
    bool blocked = false;          // what is ready found no room to start
    bool polls = false;            // sits in its runner's poll()
    bool left = false;             // its loop has ended
  };

  const ExecutorOptions options;
  const std::chrono::milliseconds timeout;
  uint32_t lanes = 0;  // a bit per lane that has a runner
  bool threaded = false;

  mutable std::mutex mutex;
  schedule::RollingGraph graph;
  std::array<LaneThread, schedule::kLanes> lane;
  std::condition_variable host_wake;
  bool host_sleeps = false;
  bool driven = false;  // a thread is inside wait()
  bool stop = false;
  // Counts what may let the waiting thread go on; written under the lock, read by its spinning.
  std::atomic<uint64_t> progress{0};

  // Runs a taken task with the lock released, and tells the graph how it ended.
  void run(Lock& lock, Lane lane, schedule::TaskRef ref);
  // After any change to the graph: wakes the lanes that have something to run, and the waiter.
  void wake();
  // After a task that needed pages where they are, a transfer, or a failure: wakes the lanes that
  // found no room, which may find it now, or have no more to wait for.
  void wake_blocked();
  // Waits until something changed. kTimeout names the task and lane that hang.
  Status wait_for_progress(Lock& lock, Ticket ticket);
  // A task that has been running for too long, or none.
  const Running* overdue(Clock::time_point now, Lane& which) const;
  Error timed_out(Ticket ticket) const;
  // Of iterations that were given up: which task keeps them.
  Error still_running() const;

  static void lane_loop(const std::shared_ptr<State>& state, Lane lane);

  // async_lane.cc
  static void async_lane_loop(const std::shared_ptr<State>& state, Lane lane);
  bool start_next(Lock& lock, Lane lane, uint64_t token);
  void poll_started(Lock& lock, Lane lane, std::span<AsyncTaskRunner::Ended> ended);
  void end_started(Lane lane, const AsyncTaskRunner::Ended& ended);
  TaskContext context_of(schedule::TaskRef ref) const;
};

}  // namespace sluice::pipeline
