// The same seed gives the same events, byte for byte; and the invariants catch what is broken on
// purpose. That nothing is broken is `sluice simulate`'s to say (the test Simulation.Seeds).
#include "sim/simulation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/test_path.h"
#include "sim/answers_check.h"
#include "sim/campaign.h"

namespace sluice::sim {
namespace {

using ::testing::HasSubstr;

class SimulationTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = base::test_path("simulation");
    auto made = make_stage(directory_);
    ASSERT_TRUE(made.ok()) << made.error().message;
    stage_ = new Stage(std::move(*made));
  }
  static void TearDownTestSuite() {
    delete stage_;
    std::filesystem::remove_all(directory_);
  }

  static SeedResult run(uint64_t seed, Mutation mutation = Mutation::kNone,
                        const char* name = "one") {
    return run_seed(*stage_, seed, directory_ + "/" + name, nullptr, mutation);
  }

  // The violation of the first of so many seeds that has one.
  static std::string caught(Mutation mutation, uint64_t seeds) {
    for (uint64_t seed = 0; seed < seeds; ++seed) {
      const SeedResult result = run(seed, mutation);
      if (!result.violation.empty()) return result.violation;
    }
    return "";
  }

  static inline std::string directory_;
  static inline Stage* stage_ = nullptr;
};

TEST_F(SimulationTest, TheSameSeedGivesTheSameEvents) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const SeedResult first = run(seed), second = run(seed, Mutation::kNone, "elsewhere");
    EXPECT_EQ(first.hash, second.hash) << seed;
    EXPECT_EQ(first.counts.of, second.counts.of) << seed;
    EXPECT_EQ(first.violation, "") << seed;
  }
  EXPECT_NE(run(1).hash, run(2).hash);
}

TEST_F(SimulationTest, EventsCanBeRead) {
  std::FILE* events = std::tmpfile();
  ASSERT_NE(events, nullptr);
  const SeedResult result = run_seed(*stage_, 3, directory_ + "/one", events);
  EXPECT_GT(std::ftell(events), 1000);
  std::fclose(events);
  EXPECT_EQ(result.hash, run(3).hash);
}

TEST_F(SimulationTest, CatchesPagesReadTooEarly) {
  EXPECT_THAT(caught(Mutation::kReadsEndEarly, 40), HasSubstr("has not come"));
}

TEST_F(SimulationTest, CatchesPagesThatAreGivenBackTooEarly) {
  EXPECT_THAT(caught(Mutation::kReleasesEarly, 100), HasSubstr("was taken away"));
}

TEST_F(SimulationTest, CatchesLanesThatNobodyWakes) {
  EXPECT_THAT(caught(Mutation::kLosesWakeUps, 200), HasSubstr("could start"));
}

TEST_F(SimulationTest, CatchesEndsThatNobodyHears) {
  EXPECT_NE(caught(Mutation::kLosesAnEnd, 40), "");
}

TEST_F(SimulationTest, CatchesSyncsThatSyncNothing) {
  EXPECT_NE(caught(Mutation::kSyncsLie, 100), "");
}

TEST_F(SimulationTest, RunsManySeedsOnSeveralThreadsAndStopsWhenAsked) {
  CampaignOptions options{.seeds = 12, .threads = 1, .directory = directory_ + "/campaign"};
  const auto alone = run_campaign(options);
  ASSERT_TRUE(alone.ok()) << alone.error().message;
  EXPECT_EQ(alone->done, 12);
  options.threads = 3;
  const auto together = run_campaign(options);
  ASSERT_TRUE(together.ok()) << together.error().message;
  EXPECT_EQ(together->hash, alone->hash);
  EXPECT_EQ(together->counts.of, alone->counts.of);
  const std::atomic<int> stop{1};
  options.stop_requested = &stop;
  EXPECT_EQ(run_campaign(options)->done, 0);
}

TEST_F(SimulationTest, SaysWhatWasNotExercised) {
  CampaignResult nothing;
  const auto missing = unexercised(nothing);
  EXPECT_THAT(missing, testing::Contains("kills"));
  EXPECT_THAT(missing, testing::Contains("the schedule resident"));
}

TEST(Comparable, LeavesOutWhatMayDiffer) {
  EXPECT_EQ(comparable(R"({"cached_tokens":32},"x")"), comparable(R"({"cached_tokens":0},"x")"));
  EXPECT_NE(comparable(R"({"cached_tokens":32},"x")"), comparable(R"({"cached_tokens":32},"y")"));
}

}  // namespace
}  // namespace sluice::sim
