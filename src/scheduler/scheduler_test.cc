#include "scheduler/scheduler.h"

#include <gtest/gtest.h>

#include <limits>

#include "scheduler/scheduler_harness.h"

namespace sluice::scheduler {
namespace {

TEST(Scheduler, RefusesWhatCanNeverRunWithTheNumbers) {
  Harness h(limits(2, 2, 8, 40), 4, 8);
  EXPECT_EQ(h.add(1, {}, 4).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(h.add(1, tokens(3), -1).error().code, ErrorCode::kInvalid);
  const Error too_long = h.add(1, tokens(30), 11).error();
  EXPECT_EQ(too_long.code, ErrorCode::kInvalid);
  EXPECT_NE(too_long.message.find("30 prompt tokens and 11 to generate"), std::string::npos);
  EXPECT_NE(too_long.message.find("40"), std::string::npos);
  EXPECT_FALSE(h.add(1, tokens(3), std::numeric_limits<int64_t>::max()).ok());
  // 4 blocks of 8 hold 32 tokens: the last generated one needs no place.
  const Error no_room = h.add(1, tokens(30), 4).error();
  EXPECT_EQ(no_room.code, ErrorCode::kNoRoom);
  EXPECT_NE(no_room.message.find("need 5 KV blocks of 8 tokens, the cache has 4"),
            std::string::npos);
  EXPECT_TRUE(h.add(1, tokens(30), 3).ok());
  EXPECT_EQ(h.add(1, tokens(3), 3).error().code, ErrorCode::kInvalid) << "the same id";
}

TEST(Scheduler, BoundsItsQueue) {
  SchedulerLimits l = limits(1, 1, 8);
  l.max_queued = 2;
  Harness h(l, 100, 8);
  EXPECT_TRUE(h.add(1, tokens(3), 3).ok());
  EXPECT_TRUE(h.add(2, tokens(3), 3).ok());
  EXPECT_EQ(h.add(3, tokens(3), 3).error().code, ErrorCode::kNoRoom);
  h.step();
  EXPECT_TRUE(h.add(3, tokens(3), 3).ok());
  EXPECT_EQ(h.scheduler.queued(), 2);
  EXPECT_EQ(h.scheduler.running(), 1);
}

TEST(Scheduler, TakesDecodesFirstThenPromptChunksOfWholeBlocks) {
  Harness h(limits(3, 3, 11), 100, 4);
  ASSERT_TRUE(h.add(1, tokens(3), 9).ok());
  EXPECT_EQ(rows(h.step()), (Rows{{1, 0, 3, true}}));
  ASSERT_TRUE(h.add(2, tokens(30, 500), 9).ok());
  ASSERT_TRUE(h.add(3, tokens(2, 900), 9).ok());
  // One row decodes, ten are left: eight make two blocks, the short prompt takes the others.
  EXPECT_EQ(rows(h.step()), (Rows{{1, 3, 1, true}, {2, 0, 8, false}, {3, 0, 2, true}}));
  EXPECT_EQ(rows(h.step()), (Rows{{1, 4, 1, true}, {3, 2, 1, true}, {2, 8, 8, false}}));
  h.step();
  EXPECT_EQ(rows(h.step()), (Rows{{1, 6, 1, true}, {3, 4, 1, true}, {2, 24, 6, true}}));
}

TEST(Scheduler, GoesOnWithAPromptEvenWhereTheBudgetHoldsNoBlock) {
  Harness h(limits(2, 2, 3), 100, 4);
  ASSERT_TRUE(h.add(1, tokens(7), 2).ok());
  EXPECT_EQ(rows(h.step()), (Rows{{1, 0, 3, false}}));
  EXPECT_EQ(rows(h.step()), (Rows{{1, 3, 1, false}})) << "back to a whole block";
  EXPECT_EQ(rows(h.step()), (Rows{{1, 4, 3, true}}));
}

TEST(Scheduler, RefillsASlotBeforeItsMicroBatchGoesAgain) {
  Harness h(limits(4, 2, 16), 100, 4);
  for (SequenceId id = 1; id <= 6; ++id) {
    ASSERT_TRUE(h.add(id, tokens(2, static_cast<int32_t>(100 * id)), id == 1 ? 1 : 5).ok());
  }
  const MicroBatch first = h.form();
  const MicroBatch second = h.form();
  EXPECT_EQ(rows(first), (Rows{{1, 0, 2, true}, {3, 0, 2, true}}));
  EXPECT_EQ(rows(second), (Rows{{2, 0, 2, true}, {4, 0, 2, true}}));
  EXPECT_FALSE(h.can_form()) << "both micro-batches are out";
  h.complete(first);  // 1 has ended
  const MicroBatch again = h.form();
  EXPECT_EQ(again.index, first.index);
  EXPECT_EQ(rows(again), (Rows{{3, 2, 1, true}, {5, 0, 2, true}}));
  EXPECT_EQ(again.iteration, 2);
  EXPECT_EQ(h.scheduler.queued(), 1);
}

TEST(Scheduler, SpreadsAWindowByLengthAndPutsARefillWhereThereIsLeast) {
  Harness h(limits(6, 3, 100), 100, 4);
  const int64_t lengths[] = {3, 9, 2, 8, 5};
  for (SequenceId id = 0; id < 5; ++id) {
    ASSERT_TRUE(h.add(id, tokens(lengths[id], static_cast<int32_t>(100 * id)), 5).ok());
  }
  const MicroBatch first = h.form();
  const MicroBatch second = h.form();
  // As in balance_test: 9 + 3 + 2 against 8 + 5.
  EXPECT_EQ(rows(first), (Rows{{0, 0, 3, true}, {1, 0, 9, true}, {2, 0, 2, true}}));
  EXPECT_EQ(rows(second), (Rows{{3, 0, 8, true}, {4, 0, 5, true}}));
  h.complete(first);
  h.complete(second);
  ASSERT_TRUE(h.add(9, tokens(4, 900), 5).ok());
  EXPECT_EQ(h.step().slices.size(), 3u);
  EXPECT_EQ(h.step().slices.back().sequence, 9u);
}

TEST(Scheduler, FinishesAPromptThatGeneratesNothing) {
  Harness h(limits(1, 1, 4), 100, 4);
  ASSERT_TRUE(h.add(1, tokens(6), 0, true).ok());
  const MicroBatch first = h.step();
  EXPECT_EQ(rows(first), (Rows{{1, 0, 4, false}}));
  EXPECT_EQ(first.logit_rows, (std::vector<int32_t>{0, 1, 2, 3}));
  const MicroBatch second = h.step();
  EXPECT_EQ(rows(second), (Rows{{1, 4, 2, false}}));
  EXPECT_TRUE(second.slices[0].finishes);
  EXPECT_EQ(second.slices[0].logit_rows, 2);
  EXPECT_TRUE(h.scheduler.idle());
  EXPECT_EQ(h.blocks.held(), 0);
}

TEST(Scheduler, LetsNothingOvertakeAHeadThatDoesNotFit) {
  Harness h(limits(4, 4, 100), 10, 4);
  ASSERT_TRUE(h.add(1, tokens(8), 13).ok());       // 5 blocks
  ASSERT_TRUE(h.add(2, tokens(20, 300), 5).ok());  // 6 blocks
  ASSERT_TRUE(h.add(3, tokens(2, 600), 2).ok());   // 1 block, would fit
  for (int i = 0; i < 13; ++i) {
    EXPECT_EQ(h.step().slices.size(), 1u);
    EXPECT_EQ(h.scheduler.queued(), 2);
  }
  EXPECT_EQ(rows(h.step()), (Rows{{2, 0, 20, true}, {3, 0, 2, true}}));
  EXPECT_EQ(h.scheduler.counters().preemptions, 0);
}

TEST(Scheduler, SetsTheYoungestBackWhenBlocksRunOut) {
  SchedulerLimits l = limits(3, 3, 100);
  l.admission = Admission::kOptimistic;
  l.reserve_fraction = 0;
  l.prefix_sharing = false;
  Harness h(l, 6, 4);
  ASSERT_TRUE(h.add(1, tokens(7), 6).ok());
  ASSERT_TRUE(h.add(2, tokens(7, 300), 6).ok());
  ASSERT_TRUE(h.add(3, tokens(7, 600), 6).ok());
  ASSERT_TRUE(h.add(4, tokens(14, 900), 1).ok());
  EXPECT_EQ(h.step().slices.size(), 3u);
  EXPECT_EQ(h.step().slices.size(), 3u);  // each fills its second block
  ASSERT_EQ(h.blocks.free(), 0);
  // The first needs a third block: the third sequence gives its two.
  EXPECT_EQ(rows(h.step()), (Rows{{1, 8, 1, true}, {2, 8, 1, true}}));
  EXPECT_EQ(h.scheduler.counters().preemptions, 1);
  EXPECT_EQ(h.scheduler.queued(), 2);
  while (h.scheduler.running() == 2) EXPECT_EQ(h.step().slices.size(), 2u);
  // When the first two have ended, the third starts again with its two tokens, and the fourth
  // waits.
  const MicroBatch again = h.step();
  ASSERT_EQ(rows(again), (Rows{{3, 0, 9, true}}));
  EXPECT_EQ(again.token_ids[7], 1) << "what it had sampled";
  EXPECT_EQ(again.sequences[0].prompt_tokens, 7);
  while (!h.scheduler.idle()) h.step();
  EXPECT_EQ(h.scheduler.counters().finished, 4);
  EXPECT_EQ(h.scheduler.counters().generated_tokens, 19);
  EXPECT_EQ(h.blocks.free(), 6);
}

TEST(Scheduler, TakesOutWhatIsCancelled) {
  Harness h(limits(2, 2, 100), 100, 4);
  for (SequenceId id = 1; id <= 3; ++id) {
    ASSERT_TRUE(h.add(id, tokens(5, static_cast<int32_t>(100 * id)), 5).ok());
  }
  EXPECT_FALSE(h.scheduler.cancel(77));
  const MicroBatch out = h.form();
  EXPECT_TRUE(h.scheduler.cancel(3));  // waits: gone at once
  EXPECT_EQ(h.scheduler.queued(), 0);
  EXPECT_TRUE(h.scheduler.cancel(1));  // out: gone when it returns
  EXPECT_EQ(h.scheduler.running(), 2);
  h.complete(out);
  EXPECT_EQ(h.scheduler.running(), 1);
  EXPECT_FALSE(h.scheduler.cancel(1));
  EXPECT_TRUE(h.scheduler.cancel(2));  // between iterations: at once
  EXPECT_TRUE(h.scheduler.idle());
  EXPECT_FALSE(h.can_form());
  EXPECT_EQ(h.blocks.held(), 0);
  EXPECT_EQ(h.scheduler.counters().cancelled, 3);
}

TEST(Scheduler, ComputesAgainWhatFailedAndKeepsWhatWasSampled) {
  Harness h(limits(3, 3, 100), 100, 4);
  for (SequenceId id = 1; id <= 3; ++id) {
    ASSERT_TRUE(h.add(id, tokens(5, static_cast<int32_t>(100 * id)), 3).ok());
  }
  const MicroBatch first = h.form();
  const int64_t held = h.blocks.held();
  h.scheduler.fail(first,
                   std::vector<Outcome>{{.sampled = false}, {.token = 7}, {.sampled = false}});
  // Nothing has moved: the same rows in the same places, and what had been sampled behind its own.
  EXPECT_EQ(h.blocks.held(), held);
  const MicroBatch again = h.form();
  ASSERT_EQ(rows(again), (Rows{{1, 0, 5, true}, {2, 0, 6, true}, {3, 0, 5, true}}));
  EXPECT_EQ(again.token_ids[10], 7);
  EXPECT_GT(again.iteration, first.iteration);
  EXPECT_EQ(again.kv_slots[0], first.kv_slots[0]);
  EXPECT_TRUE(h.scheduler.cancel(3));
  h.scheduler.fail(again, std::vector<Outcome>(3, {.sampled = false}));
  EXPECT_EQ(h.scheduler.running(), 2) << "what was cancelled is gone";
  h.left[2] = 2;
  while (!h.scheduler.idle()) h.step();
  EXPECT_EQ(h.scheduler.counters().failed_iterations, 2);
  EXPECT_EQ(h.scheduler.counters().finished, 2);
  EXPECT_EQ(h.scheduler.counters().generated_tokens, 6);
  EXPECT_EQ(h.scheduler.counters().preemptions, 0);
  EXPECT_EQ(h.blocks.held(), 0);
}

TEST(Scheduler, CountsItsOccupancy) {
  Harness h(limits(3, 2, 100), 100, 4);  // micro-batches of two slots and one
  for (SequenceId id = 1; id <= 2; ++id) {
    ASSERT_TRUE(h.add(id, tokens(5, static_cast<int32_t>(100 * id)), 3).ok());
  }
  while (!h.scheduler.idle()) h.step();
  EXPECT_EQ(h.scheduler.counters().iterations, 6);
  EXPECT_EQ(h.scheduler.counters().sequence_slots, 3 * 2 + 3 * 1);
  EXPECT_EQ(h.scheduler.counters().sequence_slots_used, 6);
  EXPECT_EQ(h.scheduler.counters().computed_tokens, 2 * (5 + 2));
}

TEST(Scheduler, AbortsWhenAnIterationIsCompletedTwiceOrWithoutItsOutcomes) {
  Harness h(limits(1, 1, 100), 100, 4);
  ASSERT_TRUE(h.add(1, tokens(5), 3).ok());
  const MicroBatch batch = h.form();
  EXPECT_DEATH(h.scheduler.complete(batch, {}), "every sampling slice has an outcome");
  h.complete(batch);
  EXPECT_DEATH(h.scheduler.complete(batch, {}), "an iteration ends once");
}

// A token that was sampled in an iteration that failed makes two to compute, on either side of a
// block's end.
TEST(Scheduler, FillsABlockBeforeItBeginsAnother) {
  for (const bool one : {false, true}) {
    Harness h({.max_batch_size = 1,
               .micro_batch_size = 1,
               .max_num_tokens = 16,
               .max_seq_len = 16,
               .one_block_begun = one},
              8, 4);
    ASSERT_TRUE(h.add(1, tokens(3), 6).ok());
    h.step();
    const MicroBatch failed = h.form();
    ASSERT_EQ(failed.slices.size(), 1u);
    EXPECT_EQ(failed.slices[0].first_position, 3);
    const std::vector<Outcome> sampled = {{.token = 1, .ended = false, .sampled = true}};
    h.scheduler.fail(failed, sampled);
    const MicroBatch again = h.step();
    EXPECT_EQ(again.slices[0].first_position, 3);
    EXPECT_EQ(again.slices[0].rows, one ? 1 : 2);
    EXPECT_EQ(again.slices[0].samples, !one);
    if (one) {
      const MicroBatch next = h.step();
      EXPECT_EQ(next.slices[0].first_position, 4);
      EXPECT_TRUE(next.slices[0].samples);
    }
  }
}

}  // namespace
}  // namespace sluice::scheduler
