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

}  // namespace sluice::pipeline
