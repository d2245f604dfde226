#include "planner/workload.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::planner {
namespace {

TEST(Workload, ThePublishedOnesHaveTheirMeansAndLongest) {
  const struct {
    const char* name;
    double mean;
    int64_t longest, generated;
  } cases[] = {{"mtbench", 77, 418, 128},
               {"helm-synthetic", 242, 256, 50},
               {"summarization", 1693, 1984, 64}};
  ASSERT_EQ(std::size(cases), workload_names().size());
  for (const auto& c : cases) {
    const Workload workload = known_workload(c.name, 0, 1600).value();
    EXPECT_NEAR(workload.mean_prompt(), c.mean, 0.5) << c.name;
    EXPECT_EQ(workload.max_prompt(), c.longest);
    EXPECT_EQ(workload.mean_generated(), static_cast<double>(c.generated));
    EXPECT_EQ(workload.count(), 1600);
    EXPECT_EQ(workload.padded().mean_prompt(), static_cast<double>(c.longest));
  }
  EXPECT_NE(known_workload("mmlu", 0, 1).error().message.find("summarization"), std::string::npos);
}

TEST(Workload, LengthsAreNumbersRangesOrShares) {
  EXPECT_EQ(workload_of("512", "64", 10)->requests, (std::vector<Lengths>{{512, 64, 10}}));
  EXPECT_EQ(workload_of("128x3,1024x1", "8", 100)->requests,
            (std::vector<Lengths>{{128, 8, 75}, {1024, 8, 25}}));
  const Workload range = workload_of("100:900", "10", 8000).value();
  EXPECT_EQ(range.requests.size(), 8);
  EXPECT_EQ(range.mean_prompt(), 500);
  EXPECT_EQ(workload_of("1,2,3", "1,2,3", 7)->count(), 7);
}

TEST(Workload, NamesWhatIsWrong) {
  for (const char* text : {"", "0", "x", "5:", "9:3", "1x0", "-4", "3,,4"}) {
    const auto workload = workload_of(text, "8", 10);
    ASSERT_FALSE(workload.ok()) << text;
    EXPECT_NE(workload.error().message.find("--prompt-tokens"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace sluice::planner
