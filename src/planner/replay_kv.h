// Of a replay whose cache is not all where attention runs: which blocks of it come and go, and the
// windows they move through.
#pragma once

#include <vector>

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

  // As the engine places them; sequences of a replay share no blocks. `parts` is filled anew.
  schedule::KvMoves moves_of(const models::BatchView& batch,
                             std::vector<schedule::KvPart>& parts) const {
    parts.clear();
    if (!moves_) return {};
    schedule::KvMoves moves{.parts = 0};
    Needs part;
    int64_t first = 0;
    const auto end_part = [&](int64_t end) {
      parts.push_back(schedule::part_of(batch, first, end - first));
      parts.back().kv = part.kv;
      moves += part.kv;
    };
    for (int64_t i = 0; i < std::ssize(batch.sequences); ++i) {
      const Needs more = needs_of(batch.sequences[static_cast<size_t>(i)]);
      if (i > first && part.window + more.window > window_) {
        end_part(i);
        part = {};
        first = i;
      }
      part.window += more.window;
      part.kv += more.kv;
    }
    end_part(std::ssize(batch.sequences));
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
  // Blocks that need a place in a window, and what moves.
  struct Needs {
    int64_t window = 0;
    schedule::KvMoves kv{};
  };
  Needs needs_of(const models::SequenceRows& s) const {
    Needs needs{.kv = {.parts = 0}};  // it is within one
    const int64_t end = s.first_position + s.rows;
    for (int64_t i = 0; i < base::div_up(end, block_tokens_); ++i) {
      if (s.blocks[i] < resident_) continue;
      const auto use = memory::kv_block_use(i, s.first_position, end, block_tokens_, tails_);
      needs.window += !use.stays;
      needs.kv.blocks += !use.stays || use.leaves;
      needs.kv.arriving_blocks += use.arrives;
      needs.kv.leaving_blocks += use.leaves;
      needs.kv.leaving_tokens += memory::new_kv_tokens(i, s.first_position, end, block_tokens_);
    }
    return needs;
  }

  bool moves_, tails_;
  int64_t resident_, window_, block_tokens_;
  int free_windows_ = memory::kKvWindows;
};

}  // namespace sluice::planner
