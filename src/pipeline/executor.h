// Runs rolling task graphs. README.md beside this file states who owns what and what always holds.
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
  // Of threads (thread_executor.h). kInvalid for options without a lane or with a limit below 1.
  static Result<std::unique_ptr<Executor>> create(const ExecutorOptions& options);

  // Drops what is in flight: tasks not started fail, running ones are waited for up to
  // lane_timeout_ms. Runners must live until then, the runner of a task that hangs as long as it.
  virtual ~Executor() = default;

  // Builds an iteration and hands its ready tasks to the lanes. From any thread. The builder and
  // what `context` points to must live until wait() has returned. kNoRoom names the limit that is
  // in the way, kInvalid a lane that is not there.
  virtual Result<Ticket> submit(const schedule::Context& context, const schedule::Builder& builder,
                                uint64_t user) = 0;

  // Runs ready host-compute tasks, of this and other iterations, until this one has ended, and
  // gives its first error. Then none of its tasks is running, except after kTimeout of a lane: the
  // task it names may still be, and its buffers must stay. One thread at a time. Ends the ticket.
  virtual Status wait(Ticket ticket) = 0;

  // Whether wait() would return at once. From any thread, until wait() is called.
  virtual bool ended(Ticket ticket) const = 0;

  // Tasks not started fail with kCancelled; wait() must still be called. From any thread.
  virtual void cancel(Ticket ticket) = 0;

  // An event from outside the graph, for tasks that wait for it; with an error it fails them. From
  // any thread.
  virtual Status signal(const schedule::Signal& signal, const Error* error = nullptr) = 0;

  // Forgets what earlier iterations signalled, after a failure: with nothing in flight, and the
  // next iteration built cold.
  virtual void clear_events() = 0;
};

}  // namespace sluice::pipeline
