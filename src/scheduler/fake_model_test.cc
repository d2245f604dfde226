// The scheduler drives a model whose next token is a hash of its context and whose KV cache keeps
// the token ids themselves: every row checks that the slots of all positions before it hold what
// they should, so that no mistake in sharing, freeing or recomputing goes unseen.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "scheduler/scheduler.h"

namespace sluice::scheduler {
namespace {

constexpr int32_t kVocab = 50;
constexpr int32_t kEos = 0;

int32_t next_token(std::span<const int32_t> context) {
  uint64_t hash = 1469598103934665603ULL;
  for (int32_t token : context) hash = (hash ^ static_cast<uint32_t>(token)) * 1099511628211ULL;
  return static_cast<int32_t>((hash >> 17) % kVocab);
}

// What a request must get, computed alone.
std::vector<int32_t> expected_tokens(const SequenceRequest& request) {
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

struct Case {
  SchedulerLimits limits;
  int64_t blocks = 0, block_tokens = 0;
  int max_out = 1;          // iterations in flight at once
  double cancel_share = 0;  // of requests
  std::vector<SequenceRequest> requests;
};

int64_t pick(std::mt19937& random, int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(random);
}

std::vector<int32_t> random_tokens(std::mt19937& random, int64_t count) {
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (int32_t& token : tokens) token = static_cast<int32_t>(pick(random, 1, kVocab - 1));
  return tokens;
}

std::vector<SequenceRequest> random_requests(std::mt19937& random, int64_t count,
                                             int64_t max_seq_len) {
  std::vector<std::vector<int32_t>> stems;
  for (int i = 0; i < 3; ++i) {
    stems.push_back(random_tokens(random, pick(random, 0, max_seq_len / 2)));
  }
  std::vector<SequenceRequest> requests;
  for (int64_t i = 0; i < count; ++i) {
    SequenceRequest request;
    request.id = static_cast<SequenceId>(1000 + i);
    request.prompt = stems[static_cast<size_t>(pick(random, 0, 2))];
    const auto tail = random_tokens(random, pick(random, 0, max_seq_len / 4));
    request.prompt.insert(request.prompt.end(), tail.begin(), tail.end());
    if (request.prompt.empty()) request.prompt.push_back(7);
    const int64_t room = max_seq_len - std::ssize(request.prompt);
    request.max_new_tokens = pick(random, 0, 9) == 0 ? 0 : pick(random, 1, room);
    request.all_prompt_logits = pick(random, 0, 4) == 0;
    request.salt = static_cast<uint64_t>(pick(random, 0, 5) == 0);
    requests.push_back(std::move(request));
  }
  return requests;
}

Case random_case(uint32_t seed) {
  std::mt19937 random(seed);
  Case c;
  c.block_tokens = pick(random, 1, 9);
  c.limits.max_seq_len = pick(random, 8, 80);
  c.limits.max_batch_size = pick(random, 1, 12);
  c.limits.micro_batch_size = pick(random, 1, c.limits.max_batch_size);
  c.limits.max_num_tokens = c.limits.micro_batch_size + pick(random, 0, 40);
  c.limits.max_queued = 100;
  c.limits.prefix_sharing = pick(random, 0, 3) != 0;
  c.limits.admission = pick(random, 0, 1) ? Admission::kOptimistic : Admission::kGuaranteed;
  c.limits.reserve_fraction = static_cast<double>(pick(random, 0, 2)) / 4;
  const int64_t one = (c.limits.max_seq_len + c.block_tokens - 1) / c.block_tokens;
  c.blocks = one + pick(random, 0, 3 * one);
  c.max_out = static_cast<int>(pick(random, 1, 4));
  c.cancel_share = pick(random, 0, 2) == 0 ? 0.2 : 0.0;
  c.requests = random_requests(random, pick(random, 1, 40), c.limits.max_seq_len);
  return c;
}

// Feeds the requests as the scheduler runs, completes in any order, and ends when all is answered.
SchedulerCounters run_case(const Case& c, uint32_t seed) {
  std::mt19937 random(seed * 7919 + 1);
  memory::KvBlocks blocks(c.blocks, c.block_tokens);
  Scheduler scheduler(c.limits, blocks);
  FakeModel model(c.blocks, c.block_tokens);
  std::vector<MicroBatch> out;
  size_t added = 0;
  int64_t rounds = 0;
  while (added < c.requests.size() || !scheduler.idle()) {
    EXPECT_LT(++rounds, 100000) << "no progress";
    if (rounds >= 100000 || testing::Test::HasFailure()) break;
    while (added < c.requests.size() && pick(random, 0, 2) != 0) {
      model.expect(c.requests[added]);
      EXPECT_TRUE(scheduler.add(c.requests[added]).ok());
      ++added;
    }
    if (added > 0 && std::uniform_real_distribution<>()(random) < c.cancel_share) {
      const SequenceId id =
          c.requests[static_cast<size_t>(pick(random, 0, std::ssize(c.requests) - 1))].id;
      if (scheduler.cancel(id)) model.forget(id);
    }
    MicroBatch batch = scheduler.make_micro_batch();
    if (std::ssize(out) < c.max_out && scheduler.form(batch)) {
      EXPECT_LE(batch.view().rows(), c.limits.max_num_tokens);
      EXPECT_LE(std::ssize(batch.slices), c.limits.micro_batch_size);
      out.push_back(std::move(batch));
    } else if (!out.empty()) {
      const auto at = out.begin() + pick(random, 0, std::ssize(out) - 1);
      scheduler.complete(*at, model.run(*at));
      out.erase(at);
    } else {
      EXPECT_EQ(scheduler.running() + scheduler.queued(), 0) << "work, and none is formed";
    }
    blocks.check_consistency();
  }
  for (const SequenceRequest& request : c.requests) model.expect_answered(request.id);
  EXPECT_EQ(blocks.held(), 0);
  const SchedulerCounters& counters = scheduler.counters();
  EXPECT_LE(model.restarts(), counters.preemptions);
  if (c.limits.admission == Admission::kGuaranteed) {
    EXPECT_EQ(counters.preemptions, 0);
  }
  EXPECT_EQ(counters.finished + counters.cancelled, std::ssize(c.requests));
  return counters;
}

// Whatever N, mu, chunk size, order of completion, sharing, salts, admission: the same tokens.
TEST(FakeModel, TokensAreThoseOfEachRequestAlone) {
  SchedulerCounters sum;
  for (uint32_t seed = 0; seed < 400 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const SchedulerCounters counters = run_case(random_case(seed), seed);
    sum.preemptions += counters.preemptions;
    sum.cached_prompt_tokens += counters.cached_prompt_tokens;
    sum.held_back += counters.held_back;
    sum.cancelled += counters.cancelled;
  }
  // The cases are such that all of it happened.
  EXPECT_GT(sum.preemptions, 100);
  EXPECT_GT(sum.cached_prompt_tokens, 1000);
  EXPECT_GT(sum.held_back, 100);
  EXPECT_GT(sum.cancelled, 100);
}

}  // namespace
}  // namespace sluice::scheduler
