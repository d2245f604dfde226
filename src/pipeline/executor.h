// Runs rolling task graphs. README.md beside this file states who owns what and what always holds.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

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
  // Told the `user` of each iteration that fails, once, when none of its tasks runs any more: what
  // they had taken (claims on pages) is given back here. Under the executor's lock: does not call
  // the executor.
  std::function<void(uint64_t user)> on_failed_end;
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
  // task it names may still be, and its buffers must stay until clear_events() has returned well.
  // `failed_task`, if given, gets the task that failed first, if it was one of this iteration's.
  // One thread at a time. Ends the ticket.
  virtual Status wait(Ticket ticket, std::optional<schedule::Task>* failed_task = nullptr) = 0;

  // Whether wait() would return at once. From any thread, until wait() is called.
  virtual bool ended(Ticket ticket) const = 0;

  // Tasks not started fail with kCancelled; wait() must still be called. From any thread.
  virtual void cancel(Ticket ticket) = 0;

  // An event from outside the graph, for tasks that wait for it; with an error it fails them. From
  // any thread.
  virtual Status signal(const schedule::Signal& signal, const Error* error = nullptr) = 0;

  // Forgets what earlier iterations signalled, after a failure: when every ticket has been waited
  // for, and the next iteration is built cold. First waits for tasks that still run of iterations
  // that ended by kTimeout, lane_timeout_ms at most: kTimeout names one that does not end.
  virtual Status clear_events() = 0;

  // Ends the lanes, however long what they run takes: for an owner whose runners and buffers cannot
  // outlive a lane that hangs. Nothing may be called after it. Without threads nothing runs.
  virtual void close() {}
};

}  // namespace sluice::pipeline
