// Of a replay whose cache is not all where attention runs: which blocks of it come and go, and the
// windows they move through.
#pragma once

#include "base/rounding.h"
#include "memory/kv_block_use.h"
#include "memory/streamed_kv_size.h"
#include "models/batch_view.h"
#include "plan/plan.h"
#include "schedule/builder.h"

namespace sluice::planner {

class ReplayKv {
 public:
  explicit ReplayKv(const plan::Plan& plan)
      : moves_(plan.policy.attention_on == plan::Place::kDevice || plan.policy.kv_on_disk()),
        tails_(plan.kv_tails > 0),
        resident_(plan.resident_kv_blocks),
        window_(plan.kv_window),
        block_tokens_(plan.kv_block_tokens) {}

  // As the engine places them; sequences of a replay share no blocks.
  schedule::KvMoves moves_of(const models::BatchView& batch) const {
    schedule::KvMoves moves;
    if (!moves_) return moves;
    for (const models::SequenceRows& s : batch.sequences) add(s, moves);
    for (const int64_t slot : batch.kv_slots)
      moves.leaving_tokens += slot / block_tokens_ >= resident_;
    return moves;
  }

  // Of any iteration.
  schedule::KvMoves most(const plan::Plan& plan) const {
    if (!moves_) return {};
    const int64_t leaving = tails_
                                ? memory::most_leaving_blocks(
                                      plan.max_num_tokens, plan.policy.micro_batch, block_tokens_)
                                : 0;
    return {.blocks = window_ + leaving,
            .arriving_blocks = window_,
            .leaving_tokens = plan.max_num_tokens,
            .leaving_blocks = leaving};
  }

  // False while each window has its layer of a micro-batch.
  bool claim() {
    if (free_windows_ == 0) return false;
    --free_windows_;
    return true;
  }
  void release() { ++free_windows_; }

 private:
  void add(const models::SequenceRows& s, schedule::KvMoves& moves) const {
    const int64_t end = s.first_position + s.rows;
    for (int64_t i = 0; i < base::div_up(end, block_tokens_); ++i) {
      if (s.blocks[i] < resident_) continue;
      const auto use = memory::kv_block_use(i, s.first_position, end, block_tokens_, tails_);
      moves.blocks += !use.stays || use.leaves;
      moves.arriving_blocks += use.arrives;
      moves.leaving_blocks += use.leaves;
    }
  }

  bool moves_, tails_;
  int64_t resident_, window_, block_tokens_;
  int free_windows_ = memory::kKvWindows;
};

}  // namespace sluice::planner
