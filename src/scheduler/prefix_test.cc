// Prefixes that sequences share, and those that wait for one to be computed.
#include <gtest/gtest.h>

#include "scheduler/scheduler_harness.h"

namespace sluice::scheduler {
namespace {

TEST(Prefix, SharesThePrefixOfThoseBefore) {
  Harness h(limits(2, 2, 100), 100, 4);
  ASSERT_TRUE(h.add(1, tokens(11), 6).ok());
  for (int i = 0; i < 6; ++i) h.step();
  EXPECT_TRUE(h.scheduler.idle());
  // Its 11 + 5 computed tokens are four blocks, the generated ones included.
  std::vector<int32_t> more = tokens(11);
  more.resize(17, 1);
  ASSERT_TRUE(h.add(2, more, 3).ok());
  EXPECT_EQ(rows(h.step()), (Rows{{2, 16, 1, true}}));
  // Never the whole prompt: the last token's logits are wanted.
  ASSERT_TRUE(h.add(3, tokens(8), 3).ok());
  EXPECT_EQ(rows(h.step()), (Rows{{2, 17, 1, true}, {3, 4, 4, true}}));
  // And nothing where every row's logits are.
  h.step();
  ASSERT_TRUE(h.add(4, tokens(8), 3, true).ok());
  const MicroBatch all = h.step();
  EXPECT_EQ(rows(all).back(), (Row{4, 0, 8, true}));
  EXPECT_EQ(all.slices.back().logit_rows, 8);
  EXPECT_EQ(h.scheduler.counters().prompt_tokens, 11 + 17 + 8 + 8);
  EXPECT_EQ(h.scheduler.counters().cached_prompt_tokens, 16 + 4);
}

TEST(Prefix, SharesNothingWhenToldSo) {
  SchedulerLimits l = limits(2, 2, 100);
  l.prefix_sharing = false;
  Harness h(l, 100, 4);
  ASSERT_TRUE(h.add(1, tokens(9), 1).ok());
  ASSERT_TRUE(h.add(2, tokens(9), 1).ok());
  EXPECT_EQ(rows(h.step()), (Rows{{1, 0, 9, true}, {2, 0, 9, true}}));
  EXPECT_EQ(h.blocks.cached(), 0);
  EXPECT_EQ(h.scheduler.counters().cached_prompt_tokens, 0);
}

TEST(Prefix, HoldsBackAPromptWhosePrefixIsBeingComputed) {
  Harness h(limits(3, 3, 100), 100, 4);
  ASSERT_TRUE(h.add(1, tokens(9), 5).ok());
  ASSERT_TRUE(h.add(2, tokens(10), 5).ok());
  ASSERT_TRUE(h.add(3, tokens(9, 700), 5).ok());
  EXPECT_EQ(rows(h.step()), (Rows{{1, 0, 9, true}, {3, 0, 9, true}}));
  EXPECT_EQ(rows(h.step()), (Rows{{1, 9, 1, true}, {3, 9, 1, true}, {2, 8, 2, true}}));
  EXPECT_EQ(h.scheduler.counters().held_back, 1);
}

TEST(Prefix, HoldsNothingBackForLongerThanItsBound) {
  Harness h(limits(2, 2, 4, 2000), 1000, 4);
  ASSERT_TRUE(h.add(1, tokens(1600), 1).ok());
  ASSERT_TRUE(h.add(2, tokens(1600), 1).ok());
  for (int i = 0; i < Scheduler::kMaxHeldIterations; ++i) {
    ASSERT_EQ(h.scheduler.queued(), i == 0 ? 2 : 1);
    h.step();
  }
  h.step();
  EXPECT_EQ(h.scheduler.queued(), 0);
}

TEST(Prefix, IsNotHeldBackByOneThatLeft) {
  Harness h(limits(2, 2, 4), 100, 4);
  ASSERT_TRUE(h.add(1, tokens(40), 1).ok());
  ASSERT_TRUE(h.add(2, tokens(41), 1).ok());
  h.step();
  EXPECT_EQ(h.scheduler.queued(), 1);
  EXPECT_TRUE(h.scheduler.cancel(1));
  EXPECT_EQ(rows(h.step()), (Rows{{2, 4, 4, false}})) << "what was computed is shared all the same";
}

}  // namespace
}  // namespace sluice::scheduler
