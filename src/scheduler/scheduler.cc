#include "scheduler/scheduler.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"

namespace sluice::scheduler {
namespace {

constexpr int64_t kMaxBatchSize = int64_t{1} << 20;
constexpr int64_t kMaxQueued = int64_t{1} << 20;

void check_limits(const SchedulerLimits& limits) {
  SLUICE_CHECK(limits.max_batch_size >= 1 && limits.max_batch_size <= kMaxBatchSize,
               "max_batch_size is 1 to 2^20");
  SLUICE_CHECK(limits.micro_batch_size >= 1 && limits.micro_batch_size <= limits.max_batch_size,
               "a micro-batch holds 1 to max_batch_size sequences");
  SLUICE_CHECK(limits.max_num_tokens >= limits.micro_batch_size,
               "an iteration has a row for every sequence of its micro-batch");
  SLUICE_CHECK(limits.max_seq_len >= 1, "a sequence holds at least one token");
  SLUICE_CHECK(limits.max_queued >= 1 && limits.max_queued <= kMaxQueued,
               "max_queued is 1 to 2^20");
  SLUICE_CHECK(limits.reserve_fraction >= 0 && limits.reserve_fraction <= 1,
               "reserve_fraction is a share");
}

}  // namespace

Scheduler::Scheduler(const SchedulerLimits& limits, memory::KvBlocks& blocks)
    : limits_(limits), blocks_(blocks) {
  check_limits(limits);
  const int64_t slots = limits.max_batch_size;
  const auto n = static_cast<size_t>(slots);
  const auto table_blocks = static_cast<size_t>(blocks.blocks_for(limits.max_seq_len));
  const auto records = static_cast<size_t>(limits.max_queued) + n;
  records_.resize(records);
  free_records_.reserve(records);
  for (size_t i = records; i > 0; --i) free_records_.push_back(static_cast<int32_t>(i - 1));
  by_id_.reserve(records);
  queue_.reserve(records);
  groups_.resize(static_cast<size_t>(limits.micro_batches()));
  for (size_t g = 0; g < groups_.size(); ++g) {
    const int64_t before = static_cast<int64_t>(g) * limits.micro_batch_size;
    groups_[g].slots = std::min(limits.micro_batch_size, slots - before);
    groups_[g].members.reserve(static_cast<size_t>(groups_[g].slots));
    groups_[g].slices.reserve(static_cast<size_t>(groups_[g].slots));
  }
  free_tables_.resize(n);
  for (auto& table : free_tables_) table.reserve(table_blocks);
  window_.reserve(n);
  window_lengths_.reserve(n);
  window_order_.reserve(n);
  window_assigned_.reserve(n);
  loads_.reserve(groups_.size());
  exchangeable_.reserve(static_cast<size_t>(limits.micro_batch_size));
  path_.reserve(table_blocks);
}

Status Scheduler::check(int64_t prompt_tokens, int64_t max_new_tokens) const {
  if (prompt_tokens < 1) {
    return Error{ErrorCode::kInvalid, "the prompt is empty; it needs at least one token"};
  }
  if (max_new_tokens < 0) {
    return Error{ErrorCode::kInvalid,
                 "max_tokens is " + std::to_string(max_new_tokens) + "; it cannot be negative"};
  }
  const std::string numbers = std::to_string(prompt_tokens) + " prompt tokens and " +
                              std::to_string(max_new_tokens) + " to generate";
  // Not added up first: both come from outside.
  if (prompt_tokens > limits_.max_seq_len || max_new_tokens > limits_.max_seq_len - prompt_tokens) {
    return Error{ErrorCode::kInvalid, numbers + " are more than the " +
                                          std::to_string(limits_.max_seq_len) +
                                          " tokens of max_seq_len; shorten the prompt or lower "
                                          "max_tokens"};
  }
  const int64_t needed =
      blocks_.blocks_for(prompt_tokens + std::max<int64_t>(max_new_tokens, 1) - 1);
  if (needed > blocks_.blocks()) {
    return Error{ErrorCode::kNoRoom,
                 numbers + " need " + std::to_string(needed) + " KV blocks of " +
                     std::to_string(blocks_.block_tokens()) + " tokens, the cache has " +
                     std::to_string(blocks_.blocks()) +
                     "; give the KV cache more memory, shorten the prompt or lower max_tokens"};
  }
  return {};
}

Status Scheduler::add(SequenceRequest request) {
  SLUICE_TRY(check(std::ssize(request.prompt), request.max_new_tokens));
  if (by_id_.contains(request.id)) {
    return Error{ErrorCode::kInvalid,
                 "sequence " + std::to_string(request.id) + " is in the scheduler already"};
  }
  if (queued() >= limits_.max_queued) {
    return Error{ErrorCode::kNoRoom, std::to_string(limits_.max_queued) +
                                         " requests wait already; send this one again later"};
  }
  SLUICE_CHECK(!free_records_.empty(), "there is a record for every queued or running sequence");
  const int32_t record = free_records_.back();
  free_records_.pop_back();
  Sequence& s = sequence(record);
  s = Sequence{};
  s.id = request.id;
  s.state = SequenceState::kQueued;
  s.arrival = arrivals_++;
  s.salt = request.salt;
  s.prompt_tokens = std::ssize(request.prompt);
  s.max_new_tokens = request.max_new_tokens;
  s.all_prompt_logits = request.all_prompt_logits;
  s.tokens = std::move(request.prompt);
  s.tokens.reserve(static_cast<size_t>(s.prompt_tokens + s.max_new_tokens));
  by_id_.emplace(s.id, record);
  queue_.push_back(record);
  return {};
}

MicroBatch Scheduler::make_micro_batch() const {
  MicroBatch batch;
  batch.reserve(limits_.micro_batch_size, limits_.max_num_tokens,
                blocks_.blocks_for(limits_.max_seq_len));
  return batch;
}

bool Scheduler::form(MicroBatch& out) {
  admit();
  const int64_t count = std::ssize(groups_);
  for (int64_t k = 0; k < count; ++k) {
    const int64_t g = (turn_ + k) % count;
    Group& group = groups_[static_cast<size_t>(g)];
    if (group.out) continue;
    rebalance(g);
    if (!form_group(group, out)) continue;
    out.index = static_cast<int>(g);
    out.iteration = iterations_formed_++;
    group.out = true;
    group.iteration = out.iteration;
    turn_ = (g + 1) % count;
    return true;
  }
  return false;
}

// The group of an iteration that ends.
Scheduler::Group& Scheduler::take_in(const MicroBatch& batch) {
  SLUICE_CHECK(batch.index >= 0 && batch.index < std::ssize(groups_), "a micro-batch of this plan");
  Group& group = groups_[static_cast<size_t>(batch.index)];
  SLUICE_CHECK(
      group.out && group.iteration == batch.iteration && group.slices.size() == batch.slices.size(),
      "an iteration ends once, after it was formed");
  group.out = false;
  return group;
}

void Scheduler::complete(const MicroBatch& batch, std::span<const Outcome> outcomes) {
  Group& group = take_in(batch);
  size_t next = 0;
  for (size_t i = 0; i < batch.slices.size(); ++i) {
    const bool samples = batch.slices[i].samples;
    SLUICE_CHECK(!samples || next < outcomes.size(), "every sampling slice has an outcome");
    commit(group.slices[i], batch.slices[i], samples ? &outcomes[next++] : nullptr);
  }
  SLUICE_CHECK(next == outcomes.size(), "every outcome has a sampling slice");
  ++counters_.iterations;
  counters_.sequence_slots += group.slots;
  counters_.sequence_slots_used += std::ssize(batch.slices);
  group.slices.clear();
}

void Scheduler::fail(const MicroBatch& batch, std::span<const Outcome> outcomes) {
  Group& group = take_in(batch);
  size_t next = 0;
  for (size_t i = 0; i < batch.slices.size(); ++i) {
    const Slice& slice = batch.slices[i];
    const int32_t record = group.slices[i];
    Sequence& s = sequence(record);
    SLUICE_CHECK(!slice.samples || next < outcomes.size(), "every sampling slice has an outcome");
    const Outcome* outcome = slice.samples ? &outcomes[next++] : nullptr;
    SLUICE_CHECK(s.id == slice.sequence && s.placed, "slices end as they were formed");
    s.placed = false;
    settle(record, outcome != nullptr && outcome->sampled ? outcome : nullptr, false);
  }
  SLUICE_CHECK(next == outcomes.size(), "every outcome has a sampling slice");
  ++counters_.failed_iterations;
  group.slices.clear();
}

void Scheduler::commit(int32_t record, const Slice& slice, const Outcome* outcome) {
  Sequence& s = sequence(record);
  SLUICE_CHECK(s.id == slice.sequence && s.placed, "slices end as they were formed");
  advance(s, slice);
  SLUICE_CHECK(outcome == nullptr || outcome->sampled,
               "of an iteration that completes every outcome is there");
  settle(record, outcome, slice.finishes);
}

// Appends what was sampled, if anything was; ends the sequence if it is at its end.
void Scheduler::settle(int32_t record, const Outcome* outcome, bool ended) {
  Sequence& s = sequence(record);
  if (outcome != nullptr) {
    ended = outcome->ended;
    if (!s.cancelled) {
      s.tokens.push_back(outcome->token);
      ++groups_[static_cast<size_t>(s.group)].tokens;
      ++counters_.generated_tokens;
      SLUICE_CHECK(ended || s.generated() < s.max_new_tokens,
                   "a sequence ends at max_new_tokens at the latest");
    }
  }
  if (s.cancelled) {
    ++counters_.cancelled;
    finish(record);
  } else if (ended) {
    ++counters_.finished;
    finish(record);
  }
}

void Scheduler::advance(Sequence& s, const Slice& slice) {
  SLUICE_CHECK(slice.first_position == s.computed, "positions are computed in order");
  s.placed = false;
  s.computed += slice.rows;
  counters_.computed_tokens += slice.rows;
  if (s.all_prompt_logits) {
    s.prompt_logits_done = std::max(s.prompt_logits_done, std::min(s.computed, s.prompt_tokens));
  }
  if (limits_.prefix_sharing) publish(s);
}

void Scheduler::publish(Sequence& s) {
  const int64_t step = blocks_.block_tokens();
  while ((s.published_blocks + 1) * step <= s.computed) {
    const auto at = static_cast<size_t>(s.published_blocks);
    const auto parent = at == 0 ? memory::kNoBlock : s.table[at - 1];
    const auto tokens = std::span<const int32_t>(s.tokens).subspan(at * static_cast<size_t>(step),
                                                                   static_cast<size_t>(step));
    s.table[at] = blocks_.publish(s.table[at], parent, tokens, s.salt);
    ++s.published_blocks;
  }
}

bool Scheduler::cancel(SequenceId id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return false;
  const int32_t record = found->second;
  Sequence& s = sequence(record);
  if (s.placed) {
    s.cancelled = true;
    return true;
  }
  ++counters_.cancelled;
  finish(record);
  return true;
}

// Gives back what a running sequence holds.
void Scheduler::leave(int32_t record) {
  Sequence& s = sequence(record);
  SLUICE_CHECK(s.state == SequenceState::kRunning, "only a running sequence leaves");
  blocks_.release(s.table);
  reserved_blocks_ -= std::max<int64_t>(0, s.reserved - std::ssize(s.table));
  s.table.clear();
  free_tables_.push_back(std::move(s.table));
  s.table = {};
  drop(record);
  s.computed = s.published_blocks = s.reserved = 0;
  s.computed_when_moved = -1;
  --running_;
}

void Scheduler::set_back(int32_t record) {
  Sequence& s = sequence(record);
  leave(record);
  s.state = SequenceState::kQueued;
  s.was_set_back = true;
  ++counters_.preemptions;
  // The queue is sorted by age; one set back is older than all that never started, but those held
  // back.
  const auto younger = [&](int32_t other) { return sequence(other).arrival > s.arrival; };
  queue_.insert(std::ranges::find_if(queue_, younger), record);
}

void Scheduler::finish(int32_t record) {
  Sequence& s = sequence(record);
  if (s.state == SequenceState::kRunning) {
    leave(record);
  } else {
    std::erase(queue_, record);
  }
  by_id_.erase(s.id);
  s.state = SequenceState::kFree;
  s.tokens = {};
  free_records_.push_back(record);
}

}  // namespace sluice::scheduler
