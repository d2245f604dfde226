// Counts the allocations of this program: after its requests are queued, a scheduler makes none,
// whatever it admits, shares, evicts, sets back and finishes.
#include <gtest/gtest.h>

#include "base/counted_allocations.h"
#include "scheduler/scheduler.h"

namespace sluice::scheduler {
namespace {

void run_without_allocating(const SchedulerLimits& limits, int64_t block_count) {
  memory::KvBlocks blocks(block_count, 4);
  Scheduler scheduler(limits, blocks);
  std::vector<MicroBatch> batches;
  for (int64_t i = 0; i < limits.micro_batches(); ++i) {
    batches.push_back(scheduler.make_micro_batch());
  }
  std::vector<Outcome> outcomes;
  outcomes.reserve(static_cast<size_t>(limits.micro_batch_size));
  std::vector<int64_t> left;
  for (SequenceId id = 0; id < 60; ++id) {
    SequenceRequest request{id, {}, static_cast<int64_t>(1 + id * 7 % 20), id % 5 == 0, 0};
    request.prompt.assign(1 + id * 13 % 40, static_cast<int32_t>(id % 3));
    left.push_back(request.max_new_tokens);
    ASSERT_TRUE(scheduler.add(std::move(request)).ok());
  }

  const int64_t before = base::allocations;
  while (!scheduler.idle()) {
    size_t out = 0;
    while (out < batches.size() && scheduler.form(batches[out])) ++out;
    for (size_t i = 0; i < out; ++i) {
      outcomes.clear();
      for (const Slice& slice : batches[i].slices) {
        if (!slice.samples) continue;
        outcomes.push_back({static_cast<int32_t>(slice.sequence % 4), --left[slice.sequence] == 0});
      }
      scheduler.complete(batches[i], outcomes);
    }
  }
  EXPECT_EQ(base::allocations, before);
  EXPECT_EQ(scheduler.counters().finished, 60);
  EXPECT_GT(scheduler.counters().cached_prompt_tokens, 0);
  EXPECT_GT(blocks.counters().evicted, 0);
  EXPECT_GT(scheduler.counters().moved, 0);
  EXPECT_EQ(scheduler.counters().preemptions > 0, limits.admission == Admission::kOptimistic);
}

TEST(Allocation, SteadyStateMakesNone) {
  SchedulerLimits limits;
  limits.max_batch_size = 10;
  limits.micro_batch_size = 4;
  limits.max_num_tokens = 24;
  limits.max_seq_len = 64;
  run_without_allocating(limits, 40);
  limits.admission = Admission::kOptimistic;
  limits.reserve_fraction = 0.1;
  run_without_allocating(limits, 20);
}

TEST(Allocation, IsCounted) {
  const int64_t before = base::allocations;
  const std::vector<int> one(1);
  EXPECT_GE(base::allocations, before + static_cast<int64_t>(one.size()));
}

}  // namespace
}  // namespace sluice::scheduler
