#include "planner/routing.h"

#include <gtest/gtest.h>

namespace sluice::planner {
namespace {

TEST(Routing, UniformHitsWhatIndependentChoicesHit) {
  const Routing routing = Routing::uniform(8, 2);
  EXPECT_DOUBLE_EQ(routing.distinct(1), 2);
  EXPECT_DOUBLE_EQ(routing.tokens(10), 20);
  EXPECT_NEAR(routing.distinct(1e6), 8, 1e-9);
  EXPECT_NEAR(routing.distinct(4, 0, 0.5) * 2, routing.distinct(4), 1e-12);
}

TEST(Routing, SkewHitsFewerAndTheFirstMore) {
  const Routing even = Routing::uniform(64, 8), skewed = Routing::zipf(64, 8, 1.0);
  double sum = 0;
  for (const double share : skewed.shares()) {
    EXPECT_LE(share, 1);
    sum += share;
  }
  EXPECT_NEAR(sum, 8, 1e-9);
  EXPECT_LT(skewed.distinct(8), even.distinct(8));
  EXPECT_GT(skewed.tokens(8, 0, 0.25), even.tokens(8, 0, 0.25));
  EXPECT_NEAR(skewed.distinct(5, 0, 0.3) + skewed.distinct(5, 0.3, 1), skewed.distinct(5), 1e-9);
}

}  // namespace
}  // namespace sluice::planner
