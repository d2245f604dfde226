// What the scheduler's tests drive it with.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <ostream>
#include <utility>
#include <vector>

#include "scheduler/scheduler.h"

namespace sluice::scheduler {

// `count` tokens that start at `first` and differ from each other.
inline std::vector<int32_t> tokens(int64_t count, int32_t first = 100) {
  std::vector<int32_t> ids(static_cast<size_t>(count));
  std::iota(ids.begin(), ids.end(), first);
  return ids;
}

// A scheduler over its own blocks, and what its caller does: every sampled token is 1, and a
// sequence ends at max_new_tokens.
struct Harness {
  Harness(SchedulerLimits limits, int64_t block_count, int64_t block_tokens)
      : blocks(block_count, block_tokens), scheduler(limits, blocks) {}

  Status add(SequenceId id, std::vector<int32_t> prompt, int64_t max_new_tokens,
             bool all_prompt_logits = false) {
    left[id] = max_new_tokens;
    return scheduler.add({id, std::move(prompt), max_new_tokens, all_prompt_logits, 0});
  }

  MicroBatch form() {
    MicroBatch batch = scheduler.make_micro_batch();
    EXPECT_TRUE(scheduler.form(batch));
    return batch;
  }

  bool can_form() {
    MicroBatch batch = scheduler.make_micro_batch();
    return scheduler.form(batch);
  }

  void complete(const MicroBatch& batch) {
    std::vector<Outcome> outcomes;
    for (const Slice& slice : batch.slices) {
      if (slice.samples) outcomes.push_back({1, --left[slice.sequence] == 0});
    }
    scheduler.complete(batch, outcomes);
    blocks.check_consistency();
  }

  MicroBatch step() {
    MicroBatch batch = form();
    complete(batch);
    return batch;
  }

  memory::KvBlocks blocks;
  Scheduler scheduler;
  std::map<SequenceId, int64_t> left;
};

struct Row {
  SequenceId id;
  int64_t first_position, rows;
  bool samples;
  bool operator==(const Row&) const = default;
};

inline std::ostream& operator<<(std::ostream& out, const Row& row) {
  return out << "{" << row.id << ": " << row.first_position << "+" << row.rows
             << (row.samples ? " samples}" : "}");
}

inline std::vector<Row> rows(const MicroBatch& batch) {
  std::vector<Row> result;
  for (const Slice& s : batch.slices) {
    result.push_back({s.sequence, s.first_position, s.rows, s.samples});
  }
  return result;
}

inline SchedulerLimits limits(int64_t batch, int64_t micro_batch, int64_t num_tokens,
                              int64_t seq_len = 1000) {
  SchedulerLimits l;
  l.max_batch_size = batch;
  l.micro_batch_size = micro_batch;
  l.max_num_tokens = num_tokens;
  l.max_seq_len = seq_len;
  return l;
}

using Rows = std::vector<Row>;

}  // namespace sluice::scheduler
