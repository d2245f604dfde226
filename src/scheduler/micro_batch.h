// What the scheduler hands to the schedule: one iteration of one micro-batch, decided, as a value.
#pragma once

#include <cstdint>
#include <vector>

#include "models/batch_view.h"

namespace sluice::scheduler {

using SequenceId = uint64_t;

// One sequence's part of the iteration: the rows of its positions first_position .. + rows. Rows
// before a sequence's first first_position came from the prefix cache. A sequence that was set back
// comes again from a lower position; its sampled tokens are then computed like a prompt.
struct Slice {
  SequenceId sequence = 0;
  int64_t first_row = 0;
  int64_t rows = 0;
  int64_t first_position = 0;
  bool samples = false;     // the last row's logits give the next token
  bool finishes = false;    // the sequence generates nothing and ends with this iteration
  int64_t first_logit = 0;  // index into logit_rows of this slice's first
  int64_t logit_rows =
      0;  // rows of this slice that go through the head: its last, or more for prompt logprobs
};

// Storage is reserved to the limits once and reused: forming a micro-batch allocates nothing.
struct MicroBatch {
  int index = 0;          // which of the plan's micro-batches
  int64_t iteration = 0;  // counts formed micro-batches, over the whole run
  std::vector<Slice> slices;

  // The arrays behind view().
  std::vector<int32_t> token_ids;
  std::vector<int32_t> positions;
  std::vector<int64_t> kv_slots;
  std::vector<models::SequenceRows> sequences;  // one per slice, in the same order
  std::vector<int32_t> block_tables;            // one after another; `sequences` points into it
  std::vector<int32_t> logit_rows;

  // `sequences` points into `block_tables`: moved, never copied.
  MicroBatch() = default;
  MicroBatch(MicroBatch&&) noexcept = default;
  MicroBatch& operator=(MicroBatch&&) noexcept = default;

  // Room for `slices` sequences of up to `rows` rows together, and `table_blocks` blocks in each
  // one's block table.
  void reserve(int64_t slice_count, int64_t rows, int64_t table_blocks);
  void clear();

  models::BatchView view() const { return {token_ids, positions, kv_slots, sequences, logit_rows}; }
};

}  // namespace sluice::scheduler
