// One iteration of one micro-batch: decode tokens first, then prompt chunks.
#include <algorithm>

#include "base/check.h"
#include "scheduler/scheduler.h"

namespace sluice::scheduler {

bool Scheduler::form_group(Group& group, MicroBatch& out) {
  out.clear();
  group.slices.clear();
  place_decodes(group, out);
  place_prompts(group, out);
  if (out.slices.empty()) return false;
  point_tables(out);
  return true;
}

// Members are oldest first and only younger ones, which come later, are set back meanwhile: the
// index stays right.
void Scheduler::place_decodes(Group& group, MicroBatch& out) {
  for (size_t i = 0; i < group.members.size(); ++i) {
    const int32_t record = group.members[i];
    Sequence& s = sequence(record);
    if (s.placed || s.uncomputed() != 1) continue;  // placed: still out with another micro-batch
    // Where blocks have run out, it keeps what it holds and waits for older ones to end.
    if (!hold_blocks(s, blocks_.blocks_for(s.length()))) continue;
    place(group, record, s.length(), out);
  }
}

void Scheduler::place_prompts(Group& group, MicroBatch& out) {
  bool first = true;
  for (size_t i = 0; i < group.members.size(); ++i) {
    const int32_t record = group.members[i];
    Sequence& s = sequence(record);
    if (s.placed || s.uncomputed() == 1) continue;
    const int64_t budget = limits_.max_num_tokens - std::ssize(out.token_ids);
    if (budget <= 0) break;
    int64_t end = chunk_end(s, budget, first);
    if (end <= s.computed) continue;
    if (!hold_blocks(s, blocks_.blocks_for(end))) {
      end = std::min(end, std::ssize(s.table) * blocks_.block_tokens());
      if (end <= s.computed) continue;
    }
    place(group, record, end, out);
    first = false;
  }
}

// A chunk ends at a multiple of the KV block unless it is the last, and at the next one if
// `one_block_begun` wants it. Only the first prompt of an
// iteration may end elsewhere when the budget has no room for that, so that it always goes on.
int64_t Scheduler::chunk_end(const Sequence& s, int64_t budget, bool first) const {
  const int64_t step = blocks_.block_tokens();
  if (limits_.one_block_begun && s.computed % step != 0)
    budget = std::min(budget, step - s.computed % step);
  if (s.uncomputed() <= budget) return s.length();
  const int64_t aligned = (s.computed + budget) / step * step;
  return aligned > s.computed || !first ? aligned : s.computed + budget;
}

// Makes `s` hold `count` blocks, setting back younger sequences if it must. False if it could not
// get them all; it keeps those it got.
bool Scheduler::hold_blocks(Sequence& s, int64_t count) {
  while (std::ssize(s.table) < count) {
    const memory::BlockId block = blocks_.allocate();
    if (block == memory::kNoBlock) {
      SLUICE_CHECK(limits_.admission == Admission::kOptimistic,
                   "guaranteed admission counted every block");
      const int32_t victim = youngest_after(s);
      if (victim < 0) return false;
      set_back(victim);
      continue;
    }
    if (std::ssize(s.table) < s.reserved) --reserved_blocks_;
    s.table.push_back(block);
  }
  return true;
}

// The youngest running sequence that is younger than `s` and in no iteration now, or -1.
int32_t Scheduler::youngest_after(const Sequence& s) const {
  int32_t youngest = -1;
  uint64_t arrival = s.arrival;
  for (const Group& group : groups_) {
    for (int32_t member : group.members) {
      const Sequence& other = sequence(member);
      if (other.placed || other.arrival <= arrival) continue;
      youngest = member;
      arrival = other.arrival;
    }
  }
  return youngest;
}

// Gives rows to the positions from `computed` to `end`, whose blocks it holds.
void Scheduler::place(Group& group, int32_t record, int64_t end, MicroBatch& out) {
  Sequence& s = sequence(record);
  const int64_t step = blocks_.block_tokens();
  const bool last = end == s.length();
  Slice slice;
  slice.sequence = s.id;
  slice.first_row = std::ssize(out.token_ids);
  slice.rows = end - s.computed;
  slice.first_position = s.computed;
  slice.samples = last && s.max_new_tokens > 0;
  slice.finishes = last && s.max_new_tokens == 0;
  slice.first_logit = std::ssize(out.logit_rows);
  for (int64_t p = s.computed; p < end; ++p) {
    const bool prompt_logit = s.all_prompt_logits && p < s.prompt_tokens;
    if ((prompt_logit && p >= s.prompt_logits_done) || (slice.samples && p == end - 1)) {
      out.logit_rows.push_back(static_cast<int32_t>(out.token_ids.size()));
    }
    out.token_ids.push_back(s.tokens[static_cast<size_t>(p)]);
    out.positions.push_back(static_cast<int32_t>(p));
    out.kv_slots.push_back(s.table[static_cast<size_t>(p / step)] * step + p % step);
  }
  slice.logit_rows = std::ssize(out.logit_rows) - slice.first_logit;
  out.slices.push_back(slice);
  out.sequences.push_back(
      {slice.first_row, slice.rows, slice.first_position, s.prompt_tokens, nullptr});
  const auto blocks = static_cast<std::ptrdiff_t>(blocks_.blocks_for(end));
  out.block_tables.insert(out.block_tables.end(), s.table.begin(), s.table.begin() + blocks);
  s.placed = true;
  group.slices.push_back(record);
}

// Only now do the tables stand where they stay.
void Scheduler::point_tables(MicroBatch& out) const {
  const int32_t* at = out.block_tables.data();
  for (models::SequenceRows& rows : out.sequences) {
    rows.blocks = at;
    at += blocks_.blocks_for(rows.first_position + rows.rows);
  }
}

}  // namespace sluice::scheduler
