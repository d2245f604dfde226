#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "scheduler/scheduler_harness.h"

namespace sluice::scheduler {
namespace {

// Sequences `first` to `last` of 20 tokens each; those of `short_lived` end with their first token.
void add_twenties(Harness& h, SequenceId first, SequenceId last,
                  const std::vector<SequenceId>& short_lived) {
  for (SequenceId id = first; id <= last; ++id) {
    const bool ends = std::ranges::find(short_lived, id) != short_lived.end();
    ASSERT_TRUE(h.add(id, tokens(20, static_cast<int32_t>(100 * id)), ends ? 1 : 50).ok());
  }
}

// Two micro-batches of two: the first, whose sequences 1 and 3 have ended, is about to be refilled
// by 5 and 6, of such lengths; the second, of 2 and 4, 40 tokens, is out.
struct Refilled : Harness {
  Refilled(int64_t fifth, int64_t sixth) : Harness(limits(4, 2, 200), 100, 4) {
    add_twenties(*this, 1, 4, {1, 3});
    EXPECT_TRUE(add(5, tokens(fifth, 1000), 50).ok());
    EXPECT_TRUE(add(6, tokens(sixth, 2000), 50).ok());
    const MicroBatch first = form();
    second = form();
    complete(first);
  }
  MicroBatch second;
};

TEST(Rebalance, ExchangesOneOfTheHeavierForOneThatIsOut) {
  Refilled h(60, 40);
  // The two bring 100 tokens beside 40: 5 goes to the other, for 4, which is out.
  const MicroBatch third = h.form();
  EXPECT_EQ(rows(third), (Rows{{6, 0, 40, true}}));
  EXPECT_EQ(h.scheduler.counters().moved, 2);
  h.complete(h.second);
  const MicroBatch fourth = h.form();
  EXPECT_EQ(rows(fourth), (Rows{{2, 20, 1, true}, {5, 0, 60, true}}));
  h.complete(third);
  EXPECT_EQ(rows(h.form()), (Rows{{4, 20, 1, true}, {6, 40, 1, true}}));
  EXPECT_EQ(h.scheduler.counters().moved, 2);
}

TEST(Rebalance, LeavesASmallDifference) {
  Refilled h(27, 23);
  EXPECT_EQ(rows(h.form()), (Rows{{5, 0, 27, true}, {6, 0, 23, true}})) << "50 beside 40 tokens";
  EXPECT_EQ(h.scheduler.counters().moved, 0);
}

TEST(Rebalance, ExchangesNothingThatWouldNotHalveTheDifference) {
  Harness h(limits(2, 1, 200), 100, 4);
  ASSERT_TRUE(h.add(1, tokens(80, 100), 50).ok());
  ASSERT_TRUE(h.add(2, tokens(5, 500), 50).ok());
  for (int i = 0; i < 6; ++i) h.step();
  EXPECT_EQ(h.scheduler.counters().moved, 0);
}

TEST(Rebalance, TakesAFreeSlot) {
  Harness h(limits(6, 3, 200), 100, 4);
  add_twenties(h, 1, 6, {4, 6});
  const MicroBatch first = h.form();   // 1, 3 and 5
  const MicroBatch second = h.form();  // 2, 4 and 6
  h.complete(first);
  h.complete(second);
  // 63 tokens beside 21, and two free slots. Neither is out, so none loses its turn.
  EXPECT_EQ(rows(h.form()), (Rows{{3, 20, 1, true}, {5, 20, 1, true}}));
  EXPECT_EQ(rows(h.form()), (Rows{{1, 20, 1, true}, {2, 20, 1, true}}));
  EXPECT_EQ(h.scheduler.counters().moved, 1);
}

TEST(Rebalance, LeavesAnEmptyMicroBatchEmpty) {
  Harness h(limits(4, 2, 200), 100, 4);
  add_twenties(h, 1, 4, {2, 4});
  h.step();
  h.step();
  EXPECT_EQ(rows(h.step()), (Rows{{1, 20, 1, true}, {3, 20, 1, true}}));
  EXPECT_EQ(h.scheduler.counters().moved, 0);
}

TEST(Rebalance, CancelsWhatIsOutWithTheMicroBatchItLeft) {
  Refilled h(60, 40);
  const MicroBatch third = h.form();
  ASSERT_EQ(h.scheduler.counters().moved, 2);
  EXPECT_TRUE(h.scheduler.cancel(4));
  EXPECT_EQ(h.scheduler.running(), 4) << "until its iteration ends";
  h.complete(h.second);
  EXPECT_EQ(h.scheduler.running(), 3);
  h.complete(third);
  while (!h.scheduler.idle()) h.step();
  EXPECT_EQ(h.scheduler.counters().finished, 5);
  EXPECT_EQ(h.blocks.held(), 0);
}

}  // namespace
}  // namespace sluice::scheduler
