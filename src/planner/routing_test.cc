#include "planner/routing.h"
#include "base/rounding.h"

#include <gtest/gtest.h>

#include <cmath>

#include "models/shape.h"
#include "planner/weights.h"

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

// Of an expert that is hit, its count Poisson's.
double tiled_rows(double mean, int tile) {
  double some = 0, sum = 0;
  for (int count = 1; count < 3 * mean + 100; ++count) {
    const double share = std::exp(count * std::log(mean) - mean - std::lgamma(count + 1));
    some += share;
    sum += share * base::round_up(count, tile);
  }
  return sum / some;
}

TEST(Routing, RowsComeInWholeTiles) {
  EXPECT_DOUBLE_EQ(in_tiles(2, 64), 64);
  EXPECT_NEAR(in_tiles(5000, 64), 5000 + 31.5, 0.1);
  for (const double rows : {4.0, 20.0, 41.0, 60.0, 64.0, 70.0, 128.0, 300.0, 1000.0})
    EXPECT_NEAR(in_tiles(rows, 64), tiled_rows(rows, 64), 0.02 * tiled_rows(rows, 64)) << rows;
}

// Layers of one kind share the mean of their most used experts, of their second, and so on.
TEST(Routing, GoesByWhatWasMeasured) {
  const models::ModelConfig model = models::known_shape("mixtral-8x7b").value();
  RoutingSkew skew;
  skew.measured.assign(model.layers.size(), {.1, .1, .1, .1, .2, .2, .3, .9});
  skew.measured[1] = {.7, .3, .2, .2, .1, .1, .2, .2};
  skew.measured[2] = {1, 1};  // of another model
  const Layers layers = layers_of(model, skew);
  ASSERT_EQ(layers.routings.size(), 1u);
  const Routing& routing = layers.routings.front();
  EXPECT_NEAR(routing.shares()[0], (30 * .9 + .7) / 31, 1e-12);
  EXPECT_NEAR(routing.shares()[7], .1, 1e-12);
  EXPECT_LT(routing.distinct(2), Routing::uniform(8, 2).distinct(2));
  EXPECT_EQ(layers_of(model, {}).routings.front().shares()[0], .25);
}

}  // namespace
}  // namespace sluice::planner
