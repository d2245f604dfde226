// Of a replay: the requests of a workload, in the real scheduler.
#pragma once

#include <vector>

#include "memory/kv_blocks.h"
#include "plan/plan.h"
#include "planner/workload.h"
#include "scheduler/scheduler.h"

namespace sluice::planner {

class ReplayRequests {
 public:
  ReplayRequests(const plan::Plan& plan, const Workload& workload);

  scheduler::Scheduler& scheduler() { return scheduler_; }
  // The iteration has been computed; the tokens that it generated. New requests come in as others
  // leave.
  int64_t complete(const scheduler::MicroBatch& batch);
  bool done() const { return next_ == total_ && scheduler_.idle(); }

 private:
  void feed();

  const Workload& workload_;
  memory::KvBlocks blocks_;
  scheduler::Scheduler scheduler_;
  std::vector<int64_t> given_;  // of each kind of length
  std::vector<int64_t> left_;   // by request: tokens that are still to be generated
  int64_t next_ = 0, total_ = 0;
  std::vector<scheduler::Outcome> outcomes_;
};

}  // namespace sluice::planner
