// A model whose next token is a hash of its context and whose KV cache keeps the token ids
// themselves: every row checks that the slots of all positions before it hold what they should, so
// that no mistake in sharing, freeing or recomputing goes unseen.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "scheduler/scheduler.h"

namespace sluice::scheduler {

inline constexpr int32_t kVocab = 50;
inline constexpr int32_t kEos = 0;

inline int32_t next_token(std::span<const int32_t> context) {
  uint64_t hash = 1469598103934665603ULL;
  for (int32_t token : context) hash = (hash ^ static_cast<uint32_t>(token)) * 1099511628211ULL;
  return static_cast<int32_t>((hash >> 17) % kVocab);
}

// What a request must get, computed alone.
inline std::vector<int32_t> expected_tokens(const SequenceRequest& request) {
  std::vector<int32_t> context = request.prompt, out;
  while (std::ssize(out) < request.max_new_tokens) {
    out.push_back(next_token(context));
    context.push_back(out.back());
    if (out.back() == kEos) break;
  }
  return out;
}

struct CachedToken {
  int32_t token = -1;
  int64_t position = -1;
  uint64_t salt = 0;
  bool operator==(const CachedToken&) const = default;
};

class FakeModel {
 public:
  FakeModel(int64_t blocks, int64_t block_tokens)
      : step_(block_tokens), cache_(static_cast<size_t>(blocks * block_tokens)) {}

  void expect(const SequenceRequest& request) {
    State state;
    state.request = request;
    state.context = request.prompt;
    state.prompt_logits.assign(request.prompt.size(), 0);
    states_.emplace(request.id, std::move(state));
  }

  // Writes the rows' keys, attends, and gives the outcomes of the sampling slices.
  std::vector<Outcome> run(const MicroBatch& batch) {
    std::vector<Outcome> outcomes;
    const auto view = batch.view();
    EXPECT_EQ(view.sequences.size(), batch.slices.size());
    EXPECT_TRUE(std::ranges::is_sorted(view.logit_rows));
    int64_t row = 0;
    for (size_t i = 0; i < batch.slices.size(); ++i) {
      const Slice& slice = batch.slices[i];
      EXPECT_EQ(slice.first_row, row);
      EXPECT_EQ(view.sequences[i].first_row, row);
      EXPECT_EQ(view.sequences[i].rows, slice.rows);
      EXPECT_EQ(view.sequences[i].first_position, slice.first_position);
      row += slice.rows;
      run_slice(view, slice, view.sequences[i]);
      if (slice.samples) outcomes.push_back(sample(slice.sequence));
      if (slice.finishes) states_.at(slice.sequence).ended = true;
    }
    EXPECT_EQ(row, view.rows());
    return outcomes;
  }

  // An iteration that fails: some slices have been sampled, by `sampled`; all that was written is
  // wrong.
  template <class Sampled>
  std::vector<Outcome> fail(const MicroBatch& batch, Sampled&& sampled) {
    std::vector<Outcome> outcomes;
    const auto view = batch.view();
    for (size_t i = 0; i < batch.slices.size(); ++i) {
      const Slice& slice = batch.slices[i];
      if (slice.samples && sampled()) {
        outcomes.push_back(sample(slice.sequence));
        // Its other logits came before; of one that goes on they come again.
        State& state = states_.at(slice.sequence);
        if (state.ended) take_logits(view, slice, state);
      } else if (slice.samples) {
        outcomes.push_back({.sampled = false});
      }
      for (int64_t row = slice.first_row; row < slice.first_row + slice.rows; ++row) {
        cache_[static_cast<size_t>(view.kv_slots[static_cast<size_t>(row)])] = {};
      }
    }
    return outcomes;
  }

  const std::vector<int32_t>& generated(SequenceId id) const { return states_.at(id).generated; }
  bool ended(SequenceId id) const { return states_.at(id).ended; }
  int64_t restarts() const { return restarts_; }
  void forget(SequenceId id) { states_.at(id).cancelled = true; }

  void expect_answered(SequenceId id) const {
    const State& state = states_.at(id);
    if (state.cancelled) return;
    EXPECT_TRUE(state.ended) << id;
    EXPECT_EQ(state.generated, expected_tokens(state.request)) << id;
    for (int count : state.prompt_logits) {
      EXPECT_EQ(count, state.request.all_prompt_logits ? 1 : 0) << id;
    }
  }

 private:
  struct State {
    SequenceRequest request;
    std::vector<int32_t> context, generated;
    std::vector<int> prompt_logits;  // times each prompt position's logits were delivered
    int64_t computed = 0;
    bool started = false, ended = false, cancelled = false;
  };

  void run_slice(const models::BatchView& view, const Slice& slice,
                 const models::SequenceRows& rows) {
    State& state = states_.at(slice.sequence);
    ASSERT_FALSE(state.ended);
    ASSERT_GE(slice.rows, 1);
    ASSERT_EQ(rows.prompt_tokens, std::ssize(state.request.prompt));
    if (!state.started || slice.first_position != state.computed) {
      // A residency begins: behind where it was, at whole shared blocks.
      ASSERT_EQ(slice.first_position % step_, 0);
      if (state.started) {
        ASSERT_LT(slice.first_position, state.computed);
        ++restarts_;
      }
      state.started = true;
    }
    state.computed = slice.first_position + slice.rows;
    ASSERT_LE(state.computed, std::ssize(state.context));
    ASSERT_EQ(slice.samples || slice.finishes, state.computed == std::ssize(state.context));
    for (int64_t r = 0; r < slice.rows; ++r) {
      const auto row = static_cast<size_t>(slice.first_row + r);
      const int64_t p = slice.first_position + r;
      ASSERT_EQ(view.positions[row], p);
      ASSERT_EQ(view.token_ids[row], state.context[static_cast<size_t>(p)]);
      ASSERT_EQ(view.kv_slots[row], rows.blocks[p / step_] * step_ + p % step_);
      cache_[static_cast<size_t>(view.kv_slots[row])] = {view.token_ids[row], p,
                                                         state.request.salt};
    }
    attend(state, rows);
    take_logits(view, slice, state);
  }

  void attend(const State& state, const models::SequenceRows& rows) {
    for (int64_t p = 0; p < rows.first_position + rows.rows; ++p) {
      const int64_t slot = rows.blocks[p / step_] * step_ + p % step_;
      const CachedToken want{state.context[static_cast<size_t>(p)], p, state.request.salt};
      ASSERT_EQ(cache_[static_cast<size_t>(slot)], want) << "position " << p;
    }
  }

  void take_logits(const models::BatchView& view, const Slice& slice, State& state) {
    const auto logits = view.logit_rows.subspan(static_cast<size_t>(slice.first_logit),
                                                static_cast<size_t>(slice.logit_rows));
    for (int32_t row : logits) {
      ASSERT_GE(row, slice.first_row);
      ASSERT_LT(row, slice.first_row + slice.rows);
      const auto p = static_cast<size_t>(view.positions[static_cast<size_t>(row)]);
      if (state.request.all_prompt_logits && p < state.prompt_logits.size()) {
        ++state.prompt_logits[p];
      } else {
        ASSERT_TRUE(slice.samples);
      }
    }
    if (slice.samples) {
      ASSERT_FALSE(logits.empty());
      ASSERT_EQ(logits.back(), slice.first_row + slice.rows - 1);
    }
  }

  Outcome sample(SequenceId id) {
    State& state = states_.at(id);
    const int32_t token = next_token(state.context);
    state.context.push_back(token);
    state.generated.push_back(token);
    state.ended = token == kEos || std::ssize(state.generated) == state.request.max_new_tokens;
    return {token, state.ended};
  }

  int64_t step_;
  std::vector<CachedToken> cache_;
  std::map<SequenceId, State> states_;
  int64_t restarts_ = 0;
};

}  // namespace sluice::scheduler
