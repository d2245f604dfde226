// Which waiting requests start, and in which micro-batch.
#include <algorithm>

#include "base/check.h"
#include "scheduler/scheduler.h"

namespace sluice::scheduler {

// Takes the head of the queue into free slots while its KV fits. The first that does not fit ends
// the window: nothing overtakes it.
void Scheduler::admit() {
  window_.clear();
  int64_t free_slots = limits_.max_batch_size - running_;
  const int64_t most = std::min(queued(), free_slots + limits_.max_batch_size);
  int64_t seen = 0;
  size_t kept = 0;  // held back, and overtaken by those behind them
  for (; seen < most && free_slots > 0; ++seen) {
    const int32_t record = queue_[static_cast<size_t>(seen)];
    const Start result = start(record);
    if (result == Start::kNoRoom) break;
    if (result == Start::kHeldBack) {
      queue_[kept++] = record;
    } else {
      window_.push_back(record);
      --free_slots;
    }
  }
  queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(kept), queue_.begin() + seen);
  if (!window_.empty()) place_window();
}

Scheduler::Start Scheduler::start(int32_t record) {
  Sequence& s = sequence(record);
  if (still_awaits(s)) return Start::kHeldBack;
  const auto leading =
      std::span<const int32_t>(s.tokens).first(static_cast<size_t>(shareable_tokens(s)));
  const memory::KvPrefix found = blocks_.find(leading, s.salt, path_);
  const int64_t found_tokens = found.blocks * blocks_.block_tokens();
  if (await_prefix(s, found_tokens)) return Start::kHeldBack;
  const int64_t wanted = blocks_.blocks_for(tokens_to_reserve(s));
  if (blocks_.available() - found.unheld - reserved_blocks_ < wanted - found.blocks) {
    return Start::kNoRoom;
  }
  blocks_.hold(path_);
  SLUICE_CHECK(!free_tables_.empty(), "there is a block table for every slot");
  s.table = std::move(free_tables_.back());
  free_tables_.pop_back();
  s.table.assign(path_.begin(), path_.end());
  s.reserved = wanted;
  reserved_blocks_ += wanted - found.blocks;
  s.computed = found_tokens;
  s.published_blocks = found.blocks;
  s.state = SequenceState::kRunning;
  s.held_until_iteration = -1;
  ++running_;
  if (!s.was_set_back) {
    ++counters_.admitted;
    counters_.prompt_tokens += s.prompt_tokens;
    counters_.cached_prompt_tokens += found_tokens;
  }
  return Start::kStarted;
}

// Tokens for whose KV there must be room now. One that was set back once starts again only when all
// of it fits, so that two do not set each other back in turn.
int64_t Scheduler::tokens_to_reserve(const Sequence& s) const {
  if (limits_.admission == Admission::kGuaranteed || s.was_set_back) return s.full_length();
  const auto rest = static_cast<double>(s.full_length() - s.length());
  return s.length() + static_cast<int64_t>(rest * limits_.reserve_fraction);
}

// Leading tokens that need no computing if the cache has them: never the last, whose logits are
// wanted, nor a prompt position whose logits were asked for and not delivered.
int64_t Scheduler::shareable_tokens(const Sequence& s) const {
  if (!limits_.prefix_sharing) return 0;
  const bool owes_logits = s.all_prompt_logits && s.prompt_logits_done < s.prompt_tokens;
  return std::min(s.length() - 1, owes_logits ? s.prompt_logits_done : s.length());
}

bool Scheduler::still_awaits(Sequence& s) const {
  if (s.awaited_record < 0) return false;
  const Sequence& other = sequence(s.awaited_record);
  const bool coming = other.state == SequenceState::kRunning && other.id == s.awaited_id &&
                      !other.cancelled && other.computed < s.awaited_tokens &&
                      iterations_formed_ < s.held_until_iteration;
  if (!coming) s.awaited_record = -1;
  return coming;
}

// Holds `s` back if a running sequence is about to compute more of its leading blocks than the
// cache has: started together, both would compute them.
bool Scheduler::await_prefix(Sequence& s, int64_t found_tokens) {
  if (!limits_.prefix_sharing) return false;
  if (s.held_until_iteration >= 0 && iterations_formed_ >= s.held_until_iteration) return false;
  for (const Group& group : groups_) {
    for (int32_t member : group.members) consider_awaiting(s, member, found_tokens);
  }
  for (int32_t member : window_) consider_awaiting(s, member, found_tokens);
  if (s.awaited_record < 0) return false;
  if (s.held_until_iteration < 0) {
    s.held_until_iteration = iterations_formed_ + kMaxHeldIterations;
    ++counters_.held_back;
  }
  return true;
}

// Awaits `other` if it will bring more than `found_tokens`, which then says how many.
void Scheduler::consider_awaiting(Sequence& s, int32_t other_record, int64_t& found_tokens) const {
  const Sequence& other = sequence(other_record);
  if (other.salt != s.salt || other.cancelled) return;
  const auto end = std::min(s.tokens.begin() + shareable_tokens(s),
                            s.tokens.begin() + std::min(s.length(), other.length()));
  const auto differs = std::mismatch(s.tokens.begin(), end, other.tokens.begin()).first;
  const int64_t step = blocks_.block_tokens();
  const int64_t same = (differs - s.tokens.begin()) / step * step;
  if (same <= found_tokens || other.computed >= same) return;
  found_tokens = same;
  s.awaited_record = other_record;
  s.awaited_id = other.id;
  s.awaited_tokens = same;
}

void Scheduler::place_window() {
  loads_.clear();
  for (const Group& group : groups_) {
    const int64_t members = std::ssize(group.members);
    loads_.push_back({group.tokens, members, group.slots - members});
  }
  window_lengths_.clear();
  for (int32_t record : window_) window_lengths_.push_back(sequence(record).length());
  window_order_.resize(window_.size());
  window_assigned_.resize(window_.size());
  balance(window_lengths_, loads_, {}, window_order_, window_assigned_);
  for (size_t i = 0; i < window_.size(); ++i) {
    SLUICE_CHECK(window_assigned_[i] != kWaits, "an admitted sequence has a slot");
    join(window_[i], window_assigned_[i]);
  }
}

}  // namespace sluice::scheduler
