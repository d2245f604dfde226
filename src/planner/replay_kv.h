// Of a replay whose cache is not all where attention runs: which blocks of it come and go, and the
// windows they move through.
#pragma once

#include <algorithm>
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
    schedule::KvMoves moves;
    parts.clear();
    if (!moves_) return moves;
    Needs part;
    int64_t first = 0;
    for (int64_t i = 0; i < std::ssize(batch.sequences); ++i) {
      const Needs more = needs_of(batch.sequences[static_cast<size_t>(i)]);
      if (i > first && part.window + more.window > window_) {
        end_part(batch, first, i, part, moves, parts);
        part = {};
        first = i;
      }
      part += more;
    }
    end_part(batch, first, std::ssize(batch.sequences), part, moves, parts);
    moves.parts = std::ssize(parts);
    return moves;
  }

  // Of any iteration.
  schedule::KvMoves most(const plan::Plan& plan) const {
    if (!moves_) return {};
    const int64_t leaving = tails_
                                ? memory::most_leaving_blocks(
                                      plan.max_num_tokens, plan.policy.micro_batch, block_tokens_)
                                : 0;
    const int64_t parts = memory::most_kv_parts(
        plan.policy.micro_batch, base::div_up(plan.max_seq_len, block_tokens_), window_);
    return {.blocks = parts * window_ + leaving,
            .arriving_blocks = parts * window_,
            .leaving_tokens = plan.max_num_tokens,
            .leaving_blocks = leaving,
            .parts = parts};
  }

  // False while each window has its layer of a micro-batch.
  bool claim() {
    if (free_windows_ == 0) return false;
    --free_windows_;
    return true;
  }
  void release() { ++free_windows_; }

 private:
  // Blocks that need a place in a window, or leave; and what moves.
  struct Needs {
    int64_t window = 0, blocks = 0, arriving = 0, leaving = 0, leaving_tokens = 0;
    Needs& operator+=(const Needs& other) {
      window += other.window;
      blocks += other.blocks;
      arriving += other.arriving;
      leaving += other.leaving;
      leaving_tokens += other.leaving_tokens;
      return *this;
    }
  };
  Needs needs_of(const models::SequenceRows& s) const {
    Needs needs;
    const int64_t end = s.first_position + s.rows;
    for (int64_t i = 0; i < base::div_up(end, block_tokens_); ++i) {
      if (s.blocks[i] < resident_) continue;
      const auto use = memory::kv_block_use(i, s.first_position, end, block_tokens_, tails_);
      needs.window += !use.stays;
      needs.blocks += !use.stays || use.leaves;
      needs.arriving += use.arrives;
      needs.leaving += use.leaves;
      needs.leaving_tokens += std::max<int64_t>(
          std::min(end, (i + 1) * block_tokens_) - std::max(s.first_position, i * block_tokens_),
          0);
    }
    return needs;
  }
  static void end_part(const models::BatchView& batch, int64_t first, int64_t end,
                       const Needs& needs, schedule::KvMoves& moves,
                       std::vector<schedule::KvPart>& parts) {
    schedule::KvPart part = schedule::part_of(batch, first, end - first);
    part.arriving_blocks = needs.arriving;
    part.leaving_tokens = needs.leaving_tokens;
    part.leaving_blocks = needs.leaving;
    parts.push_back(part);
    moves.blocks += needs.blocks;
    moves.arriving_blocks += needs.arriving;
    moves.leaving_tokens += needs.leaving_tokens;
    moves.leaving_blocks += needs.leaving;
  }

  bool moves_, tails_;
  int64_t resident_, window_, block_tokens_;
  int free_windows_ = memory::kKvWindows;
};

}  // namespace sluice::planner
