// Of a replay whose attention runs on a device: which blocks of the cache move there, and the
// windows they move through.
#pragma once

#include "base/rounding.h"
#include "memory/device_kv_size.h"
#include "models/batch_view.h"
#include "plan/plan.h"
#include "schedule/builder.h"

namespace sluice::planner {

class ReplayKv {
 public:
  explicit ReplayKv(const plan::Plan& plan)
      : on_device_(plan.policy.attention_on == plan::Place::kDevice),
        resident_(plan.device_kv_blocks),
        block_tokens_(plan.kv_block_tokens) {}

  // As the engine places them; sequences of a replay share no blocks.
  schedule::KvMoves moves_of(const models::BatchView& batch) const {
    schedule::KvMoves moves;
    if (!on_device_) return moves;
    for (const models::SequenceRows& s : batch.sequences) {
      const int64_t old = base::div_up(s.first_position, block_tokens_);
      const int64_t all = base::div_up(s.first_position + s.rows, block_tokens_);
      for (int64_t i = 0; i < all; ++i) {
        if (s.blocks[i] < resident_) continue;
        ++moves.blocks;
        moves.arriving_blocks += i < old;
      }
    }
    for (const int64_t slot : batch.kv_slots)
      moves.leaving_tokens += slot / block_tokens_ >= resident_;
    return moves;
  }

  // False while each window has its layer of a micro-batch.
  bool claim() {
    if (free_windows_ == 0) return false;
    --free_windows_;
    return true;
  }
  void release() { ++free_windows_; }

 private:
  bool on_device_;
  int64_t resident_, block_tokens_;
  int free_windows_ = memory::kDeviceKvWindows;
};

}  // namespace sluice::planner
