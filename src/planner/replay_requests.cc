#include "planner/replay_requests.h"

#include <algorithm>

#include "base/check.h"

namespace sluice::planner {

namespace {

scheduler::SchedulerLimits limits_of(const plan::Plan& plan) {
  return {.max_batch_size = plan.policy.batch,
          .micro_batch_size = plan.policy.micro_batch,
          .max_num_tokens = plan.max_num_tokens,
          .max_seq_len = plan.max_seq_len,
          .max_queued = plan.policy.batch + 1,
          .prefix_sharing = false,
          .one_block_begun = plan.kv_tails > 0};
}

}  // namespace

ReplayRequests::ReplayRequests(const plan::Plan& plan, const Workload& workload)
    : workload_(workload),
      blocks_(plan.kv_blocks, plan.kv_block_tokens),
      scheduler_(limits_of(plan), blocks_),
      given_(workload.requests.size(), 0),
      total_(workload.count()) {
  feed();
}

// Lengths come mixed, each kind in its share, so that any part of the job looks like the whole.
void ReplayRequests::feed() {
  while (next_ < total_ &&
         scheduler_.queued() + scheduler_.running() < 2 * scheduler_.limits().max_batch_size &&
         scheduler_.queued() < scheduler_.limits().max_queued) {
    size_t kind = 0;
    double behind = -1;
    for (size_t i = 0; i < given_.size(); ++i) {
      const auto requests = static_cast<double>(workload_.requests[i].requests);
      const double share = requests * static_cast<double>(next_ + 1) / static_cast<double>(total_);
      if (given_[i] == workload_.requests[i].requests) continue;
      if (share - static_cast<double>(given_[i]) <= behind) continue;
      behind = share - static_cast<double>(given_[i]);
      kind = i;
    }
    ++given_[kind];
    const Lengths& lengths = workload_.requests[kind];
    const Status added =
        scheduler_.add({.id = static_cast<scheduler::SequenceId>(next_),
                        .prompt = std::vector<int32_t>(static_cast<size_t>(lengths.prompt), 1),
                        .max_new_tokens = lengths.generated});
    SLUICE_CHECK(added.ok(), "a plan has room for the requests that it was made for");
    left_.push_back(lengths.generated);
    ++next_;
  }
}

int64_t ReplayRequests::complete(const scheduler::MicroBatch& batch) {
  outcomes_.clear();
  for (const scheduler::Slice& slice : batch.slices) {
    if (!slice.samples) continue;
    int64_t& left = left_[static_cast<size_t>(slice.sequence)];
    outcomes_.push_back({1, --left == 0});
  }
  scheduler_.complete(batch, outcomes_);
  feed();
  return std::ssize(outcomes_);
}

}  // namespace sluice::planner
