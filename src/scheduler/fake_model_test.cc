// The scheduler drives a fake model through random workloads.
#include "scheduler/fake_model.h"
#include "base/rounding.h"

#include <gtest/gtest.h>

#include <random>

#include "scheduler/scheduler.h"

namespace sluice::scheduler {
namespace {

struct Case {
  SchedulerLimits limits;
  int64_t blocks = 0, block_tokens = 0;
  int max_out = 1;          // iterations in flight at once
  double cancel_share = 0;  // of requests
  double fail_share = 0;    // of iterations
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
  const int64_t one = base::div_up(c.limits.max_seq_len, c.block_tokens);
  c.blocks = one + pick(random, 0, 3 * one);
  c.max_out = static_cast<int>(pick(random, 1, 4));
  c.cancel_share = pick(random, 0, 2) == 0 ? 0.2 : 0.0;
  c.fail_share = pick(random, 0, 2) == 0 ? 0.3 : 0.0;
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
      if (std::uniform_real_distribution<>()(random) < c.fail_share) {
        scheduler.fail(*at, model.fail(*at, [&] { return pick(random, 0, 1) != 0; }));
      } else {
        scheduler.complete(*at, model.run(*at));
      }
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

// Whatever N, mu, chunk size, order of completion, sharing, salts, admission, failures: the same
// tokens.
TEST(FakeModel, TokensAreThoseOfEachRequestAlone) {
  SchedulerCounters sum;
  for (uint32_t seed = 0; seed < 400 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const SchedulerCounters counters = run_case(random_case(seed), seed);
    sum.preemptions += counters.preemptions;
    sum.cached_prompt_tokens += counters.cached_prompt_tokens;
    sum.held_back += counters.held_back;
    sum.cancelled += counters.cancelled;
    sum.failed_iterations += counters.failed_iterations;
    sum.moved += counters.moved;
  }
  // The cases are such that all of it happened.
  EXPECT_GT(sum.preemptions, 100);
  EXPECT_GT(sum.cached_prompt_tokens, 1000);
  EXPECT_GT(sum.held_back, 100);
  EXPECT_GT(sum.cancelled, 100);
  EXPECT_GT(sum.failed_iterations, 1000);
  EXPECT_GT(sum.moved, 1000);
}

}  // namespace
}  // namespace sluice::scheduler
