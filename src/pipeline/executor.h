// Runs rolling task graphs on real lanes. README.md beside this file states who owns what and what
// always holds.
//
// The host-compute lane has no thread: wait() runs its ready tasks on the calling thread, which is
// member 0 of the compute team, so that a token on a CPU pays no hand-over. Every other lane with a
// runner has one thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "base/error.h"
#include "pipeline/task_runner.h"
#include "schedule/builder.h"
#include "schedule/rolling_graph.h"

namespace sluice::pipeline {

class Trace;

struct ExecutorOptions {
  // By Lane, borrowed; a lane has one of the two, or neither: no such lane. Host compute is not
  // asynchronous.
  std::array<TaskRunner*, schedule::kLanes> runners{};
  std::array<AsyncTaskRunner*, schedule::kLanes> async_runners{};
  schedule::GraphLimits limits;      // storage is reserved for these
  Trace* trace = nullptr;            // borrowed; null: no clock is read per task
  int64_t lane_timeout_ms = 30'000;  // a task on another lane, or a stall, that lasts longer is
                                     // kTimeout; a task of the waiting thread itself is not watched
  int host_spin_us = 50;             // wait() spins for the other lanes before it sleeps
};

class Executor {
 public:
  // kInvalid for options without a lane or with a limit below 1.
  static Result<std::unique_ptr<Executor>> create(const ExecutorOptions& options);
  // Drops what is in flight: tasks not started fail, running ones are waited for up to
  // lane_timeout_ms. Runners must live until then, the runner of a task that hangs as long as it.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Builds an iteration and hands its ready tasks to the lanes. From any thread. The builder and
  // what `context` points to must live until wait() has returned. kNoRoom names the limit that is
  // in the way, kInvalid a lane that is not there.
  Result<Ticket> submit(const schedule::Context& context, const schedule::Builder& builder,
                        uint64_t user);

  // Runs ready host-compute tasks, of this and other iterations, until this one has ended, and
  // gives its first error. Then none of its tasks is running, except after kTimeout of a lane: the
  // task it names may still be, and its buffers must stay. One thread at a time. Ends the ticket.
  Status wait(Ticket ticket);

  // Whether wait() would return at once. From any thread, until wait() is called.
  bool ended(Ticket ticket) const;

  // Tasks not started fail with kCancelled; wait() must still be called. From any thread.
  void cancel(Ticket ticket);

  // An event from outside the graph, for tasks that wait for it; with an error it fails them. From
  // any thread.
  Status signal(const schedule::Signal& signal, const Error* error = nullptr);

  // Forgets what earlier iterations signalled, after a failure: with nothing in flight, and the
  // next iteration built cold.
  void clear_events();

 private:
  struct State;
  explicit Executor(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // shared with lane threads: a hung one outlives the executor
};

}  // namespace sluice::pipeline
