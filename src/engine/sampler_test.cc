#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

namespace sluice::engine {
namespace {

struct Draws {
  std::vector<float> logits;
  SamplingParams params;
  std::vector<int32_t> prompt{}, output{}, forbidden{};
  std::vector<uint32_t> bits{};

  int32_t one(uint64_t seed = 0) {
    Sampler sampler(static_cast<int>(logits.size()));
    std::vector<float> row = logits;
    return sampler.sample(row, {&params, prompt, output, forbidden, bits, seed});
  }
  std::map<int32_t, double> frequencies(int draws = 20000) {
    Sampler sampler(static_cast<int>(logits.size()));
    std::map<int32_t, double> counts;
    for (int i = 0; i < draws; ++i) {
      std::vector<float> row = logits;
      counts[sampler.sample(row, {&params, prompt, output, forbidden, bits,
                                  static_cast<uint64_t>(i)})] += 1.0 / draws;
    }
    return counts;
  }
};

TEST(Sampler, GreedyTakesTheLowestOfEquals) {
  EXPECT_EQ((Draws{.logits = {1, 3, 3, 2}, .params = {.temperature = 0}}.one()), 1);
}

TEST(Sampler, DrawsFollowTheDistribution) {
  Draws draws{.logits = {0, std::log(2.0f), std::log(5.0f)}, .params = {}};
  auto counts = draws.frequencies();
  EXPECT_NEAR(counts[0], 0.125, 0.01);
  EXPECT_NEAR(counts[1], 0.25, 0.012);
  EXPECT_NEAR(counts[2], 0.625, 0.012);
  draws.params.temperature = 0.5;  // probabilities squared
  EXPECT_NEAR(draws.frequencies()[2], 25.0 / 30, 0.01);
}

TEST(Sampler, TopKTopPAndMinPCut) {
  Draws draws{.logits = {std::log(0.5f), std::log(0.3f), std::log(0.15f), std::log(0.05f)},
              .params = {.top_k = 2}};
  EXPECT_EQ(draws.frequencies().size(), 2u);
  draws.params = {.top_p = 0.6};
  EXPECT_EQ(draws.frequencies().size(), 2u);  // 0.5 is not enough, 0.8 is
  draws.params = {.top_p = 0.5};
  EXPECT_EQ(draws.frequencies().size(), 1u);
  draws.params = {.min_p = 0.25};  // of the highest: 0.125
  EXPECT_EQ(draws.frequencies().size(), 3u);
  draws.params = {.top_p = 0.9, .top_k = 3};  // of the kept 0.95: 0.855, so three
  EXPECT_EQ(draws.frequencies().size(), 3u);
}

TEST(Sampler, LargeVocabularyNucleusIsExact) {
  // 2,000 equal tokens: a nucleus of 0.5 holds the first 1,000 by id, more than the first sort's
  // share.
  Draws draws{.logits = std::vector<float>(2000, 0.0f), .params = {.top_p = 0.5}};
  const auto counts = draws.frequencies(6000);
  EXPECT_LE(counts.rbegin()->first, 999);
  EXPECT_GT(counts.size(), 950u);
}

TEST(Sampler, PenaltiesAsVllmHasThem) {
  Draws draws{.logits = {4, 3.5f, -1},
              .params = {.temperature = 0, .repetition_penalty = 2},
              .prompt = {0}};
  EXPECT_EQ(draws.one(), 1);  // 4 / 2 < 3.5
  draws.params = {.temperature = 0, .frequency_penalty = 0.3};
  draws.output = {0, 0};
  EXPECT_EQ(draws.one(), 1);  // 4 - 0.6 < 3.5
  draws.prompt = {0, 0, 0};
  draws.output = {0};
  EXPECT_EQ(draws.one(), 0);  // the prompt does not count: 4 - 0.3
  draws.params = {.temperature = 0, .presence_penalty = 0.6};
  draws.output = {0, 0, 0};
  EXPECT_EQ(draws.one(), 1);
}

TEST(Sampler, BiasMaskAndForbidden) {
  Draws draws{.logits = {4, 3, 2}, .params = {.temperature = 0, .logit_bias = {{2, 5.0f}}}};
  EXPECT_EQ(draws.one(), 2);
  draws.params.logit_bias.clear();
  draws.forbidden = {0};
  EXPECT_EQ(draws.one(), 1);
  draws.bits = {0b100};
  EXPECT_EQ(draws.one(), 2);
}

TEST(Sampler, TheDrawDependsOnSeedAndPositionAlone) {
  Draws draws{.logits = std::vector<float>(1000, 0.0f), .params = {}};
  EXPECT_EQ(draws.one(7), draws.one(7));
  const int32_t first = draws.one(7);
  draws.output = {1};
  EXPECT_NE(draws.one(7), first);
}

TEST(Sampler, LogprobsAreTheRawDistributions) {
  Sampler sampler(3);
  const std::vector<float> logits = {0, std::log(2.0f), std::log(5.0f)};
  const TokenLogprob result = sampler.logprob(logits, 1, 2);
  EXPECT_NEAR(result.logprob, std::log(0.25), 1e-6);
  ASSERT_EQ(result.top.size(), 2u);
  EXPECT_EQ(result.top[0].first, 2);
  EXPECT_NEAR(result.top[0].second, std::log(0.625), 1e-6);
}

}  // namespace
}  // namespace sluice::engine
