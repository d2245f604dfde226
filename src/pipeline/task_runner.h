// What the owner of a pipeline gives for each lane: something that does a task's work.
#pragma once

#include <cstdint>
#include <span>

#include "base/error.h"
#include "schedule/builder.h"
#include "schedule/rolling_graph.h"
#include "schedule/task.h"

namespace sluice::pipeline {

using schedule::Lane;
using schedule::Ticket;

struct TaskContext {
  uint64_t user = 0;  // as given to submit(): which micro-batch
  Ticket ticket{};
  std::span<const schedule::PageRange> pages{};  // that the task needs where they are
};

struct TaskResult {
  // Of an expansion point; must stay as it is until run() has been left and the lane's next task,
  // or one of this expansion, begins.
  schedule::RoutingOutcome routing{};
  // What the task did, if known; for the trace.
  double flops = 0;
  double bytes = 0;
};

// Called by one thread at a time for its lane: for host compute by the thread that waits, for other
// lanes by the lane's own. An error fails what depends on the task. Does not call the executor.
class TaskRunner {
 public:
  virtual ~TaskRunner() = default;
  virtual Result<TaskResult> run(const schedule::Task& task, const TaskContext& context) = 0;
};

// A lane whose work goes on by itself once it is started, several tasks at a time: reads from a
// disk, copies over a link. All but wake() is called by the lane's thread. An error fails what
// depends on the task. Does not call the executor.
class AsyncTaskRunner {
 public:
  virtual ~AsyncTaskRunner() = default;

  enum class Start : uint8_t {
    kDone,     // there was nothing to wait for
    kStarted,  // poll() will say that it has ended
    kNoRoom,   // not now: asked again when something has ended that may have made room
  };
  struct Ended {
    uint64_t token = 0;
    Status status;
  };

  // Tasks between start() and their end, at most.
  virtual int capacity() const = 0;
  virtual Result<Start> start(const schedule::Task& task, const TaskContext& context,
                              uint64_t token) = 0;
  // Waits for started tasks to end; returns how many of `ended` it filled: 0 after `timeout_ms` or
  // soon after wake().
  virtual size_t poll(std::span<Ended> ended, int64_t timeout_ms) = 0;
  // What goes on and has outlived its task: it is polled for all the same, since its end may make
  // room.
  virtual int outlived() const { return 0; }
  virtual void wake() = 0;  // from any thread
};

}  // namespace sluice::pipeline
