#include "engine/stop_strings.h"

#include <gtest/gtest.h>

namespace sluice::engine {
namespace {

TEST(StopStrings, FindsAcrossPieces) {
  const StopStrings stops({"END", "\n\n"});
  std::string text = "abcE";
  EXPECT_FALSE(stops.find(text, 0));
  EXPECT_EQ(stops.held_back(text), 1u);
  text += "ND more";
  const auto found = stops.find(text, 4);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->at, 3u);
  EXPECT_EQ(found->end, 6u);
  EXPECT_EQ(stops[found->which], "END");
}

TEST(StopStrings, EarliestThenLongest) {
  const StopStrings stops({"b", "ab", "abc", "c"});
  const auto found = stops.find("xxabc", 0);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->at, 2u);
  EXPECT_EQ(found->end, 5u);
}

TEST(StopStrings, HoldsBackOnlyWhatMayComplete) {
  const StopStrings stops({"aab"});
  EXPECT_EQ(stops.held_back("xaa"), 2u);
  EXPECT_EQ(stops.held_back("aaa"), 2u);
  EXPECT_EQ(stops.held_back("ab"), 0u);
  EXPECT_EQ(StopStrings().held_back("anything"), 0u);
}

}  // namespace
}  // namespace sluice::engine
