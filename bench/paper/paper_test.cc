// How near the planner comes to what MoE-Lightning's paper publishes: docs/planner.md has the
// table.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>
#include <tuple>

#include "bench/paper/predict.h"

namespace sluice::bench {
namespace {

Constants fitted(const Paper& paper) { return {{"T4", paper.fit("T4")}, {"L4", paper.fit("L4")}}; }

TEST(Paper, TwoConstantsForEachDevicePredictTheOtherRows) {
  const Paper paper;
  const Constants constants = fitted(paper);
  MeanError fitted, judged, lightning;
  for (const Published& point : published()) {
    const double predicted = paper.predict(point, constants).estimate.tokens_per_second;
    (fitted_on(point) ? fitted : judged).add(predicted, point.tokens_per_second);
    if (!fitted_on(point) && std::string_view(point.system).starts_with("MoE-Lightning"))
      lightning.add(predicted, point.tokens_per_second);
  }
  EXPECT_EQ(fitted.count(), 12);  // MTBench on S1 and S2, 32 and 64 tokens, of three systems
  EXPECT_EQ(judged.count(), 70);
  EXPECT_LT(fitted.percent(), 9);
  EXPECT_LT(judged.percent(), 25);
  EXPECT_LT(lightning.percent(), 20);
  const Order found = order(paper, constants);
  EXPECT_EQ(found.same, found.pairs);
  EXPECT_GT(found.pairs, 100);
}

// With the constants of its optimizer: attention on the host, experts on the device, and hardly a
// resident expert.
TEST(Paper, TheSearchFindsThePapersPolicies) {
  const Paper paper;
  for (const Published& point : published()) {
    if (std::string_view(point.system) != "MoE-Lightning") continue;
    const plan::Policy policy = paper.search(point).candidate.policy;
    EXPECT_EQ(policy.attention_on, plan::Place::kHost);
    EXPECT_EQ(policy.experts_on, plan::Place::kDevice);
    EXPECT_LT(policy.resident_weights, 0.15) << point.setting << " " << point.generated;
    if (setting_of(point).devices > 1) continue;
    const double published = double{1} * point.policy.micro_batch * point.policy.micro_batches;
    EXPECT_NEAR(static_cast<double>(policy.batch), published, 0.15 * published)
        << point.setting << " " << point.generated;
  }
}

TEST(Paper, NoPointStandsTwice) {
  std::set<std::tuple<std::string, std::string, std::string, int, int, int>> points;
  for (const Published& p : published()) {
    EXPECT_TRUE(points
                    .insert({p.setting, p.system, p.workload, p.generated, p.policy.micro_batch,
                             p.policy.micro_batches})
                    .second);
    EXPECT_GT(p.tokens_per_second, 0);
    EXPECT_GT(p.policy.micro_batch * p.policy.micro_batches, 0);
  }
}

}  // namespace
}  // namespace sluice::bench
