#include "memory/expert_use.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

namespace sluice::memory {
namespace {

TEST(ExpertUse, HoldsAllExpertsToBeEquallyLikelyAtFirst) {
  const ExpertUse use(2, 8, 2);
  for (int e = 0; e < 8; ++e) EXPECT_DOUBLE_EQ(use.share(1, e), 0.25);
  EXPECT_DOUBLE_EQ(use.probability(0, 3, 1), 0.25);
  EXPECT_DOUBLE_EQ(use.probability(0, 3, 2), 1 - 0.75 * 0.75);
}

TEST(ExpertUse, LearnsWhatIsChosen) {
  ExpertUse use(2, 4, 1);
  const std::array<int32_t, 4> counts = {30, 10, 0, 0};
  for (int i = 0; i < 100; ++i) use.add(1, counts, 40);
  EXPECT_NEAR(use.share(1, 0), 0.75, 0.01);
  EXPECT_NEAR(use.share(1, 1), 0.25, 0.01);
  EXPECT_LT(use.share(1, 2), 0.01);
  EXPECT_GT(use.share(1, 2), 0);
  EXPECT_DOUBLE_EQ(use.share(0, 0), 0.25);
}

TEST(ExpertUse, ForgetsWhatIsLongPast) {
  ExpertUse use(1, 2, 1);
  const std::array<int32_t, 2> first = {64, 0}, second = {0, 64};
  for (int i = 0; i < 1000; ++i) use.add(0, first, 64);
  for (int i = 0; i < 1000; ++i) use.add(0, second, 64);
  EXPECT_GT(use.share(0, 1), 0.95);
}

TEST(ExpertUse, GoesOnFromWhatAnEarlierRunLearned) {
  ExpertUse use(2, 2, 1), later(2, 2, 1), other(1, 2, 1);
  const std::array<int32_t, 2> counts = {9, 1};
  for (int i = 0; i < 20; ++i) use.add(0, counts, 10);
  ASSERT_TRUE(later.restore(use.counts(), use.tokens()));
  EXPECT_DOUBLE_EQ(later.share(0, 0), use.share(0, 0));
  EXPECT_FALSE(other.restore(use.counts(), use.tokens()));
  const std::array<double, 4> broken = {1, 2, std::numeric_limits<double>::quiet_NaN(), 4};
  EXPECT_FALSE(later.restore(broken, use.tokens()));
  const std::array<double, 4> negative = {1, 2, -1, 4};
  EXPECT_FALSE(later.restore(negative, use.tokens()));
  EXPECT_DOUBLE_EQ(later.share(0, 0), use.share(0, 0));
}

}  // namespace
}  // namespace sluice::memory
