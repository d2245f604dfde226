#include "weights/match.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "weights/test_files.h"

namespace sluice::weights {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class MatchTest : public WeightsDirectory {
 protected:
  void SetUp() override {
    WeightsDirectory::SetUp();
    write("model.safetensors",
          safetensors_bytes(padded(R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
                                   R"("b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]},)"
                                   R"("i":{"dtype":"I64","shape":[1],"data_offsets":[32,40]},)"
                                   R"("layers.0.rotary_emb.inv_freq":)"
                                   R"({"dtype":"F32","shape":[2],"data_offsets":[40,48]}})"),
                            48));
    auto opened = open_checkpoint(directory_);
    ASSERT_TRUE(opened) << opened.error().message;
    checkpoint_ = std::move(*opened);
  }
  std::string error(const std::vector<TensorSpec>& specs) const {
    const auto matched = match(checkpoint_, specs, ignore_);
    return matched ? "matched" : matched.error().message;
  }

  Checkpoint checkpoint_;
  std::vector<std::string> ignore_{"*.rotary_emb.inv_freq", "i"};
};

TEST_F(MatchTest, GivesViewsInTheOrderOfTheSpecs) {
  const std::vector<TensorSpec> specs{
      {"b", {4}}, {"lm_head.weight", {8, 2}, /*required=*/false}, {"a", {2, 3}}};
  const auto matched = match(checkpoint_, specs, ignore_);
  ASSERT_TRUE(matched) << matched.error().message;
  ASSERT_EQ(matched->views.size(), 3u);
  EXPECT_EQ(matched->views[0]->data, checkpoint_.tensor("b")->data);
  EXPECT_FALSE(matched->views[1]);
  EXPECT_EQ(matched->views[2]->shape, (tensor::Shape{2, 3}));
  EXPECT_THAT(matched->ignored, ElementsAre("i", "layers.0.rotary_emb.inv_freq"));
}

TEST_F(MatchTest, OneSentenceTellsOfEverything) {
  EXPECT_THAT(error({{"a", {3, 2}}, {"c", {1}}}),
              HasSubstr(": 1 tensor is missing ('c'), 1 has another shape than the config says "
                        "('a' is [2, 3] in model.safetensors, [3, 2] is expected), "
                        "1 is not part of the model ('b'); check that config.json"));
  EXPECT_THAT(error({{"a", {6}}, {"b", {4}}}), HasSubstr("'a' is [2, 3] in"));
}

TEST_F(MatchTest, ListsTheFirstEightAndCountsTheRest) {
  std::vector<TensorSpec> specs{{"a", {2, 3}}, {"b", {4}}};
  for (int i = 0; i < 20; ++i) specs.push_back({"x" + std::to_string(i), {1}});
  const std::string told = error(specs);
  EXPECT_THAT(told, HasSubstr("20 tensors are missing ('x0', 'x1'"));
  EXPECT_THAT(told, HasSubstr("'x7' and 12 more)"));
  EXPECT_THAT(told, Not(HasSubstr("'x8'")));
}

TEST_F(MatchTest, RefusesAnElementTypeByName) {
  const auto matched =
      match(checkpoint_, std::vector<TensorSpec>{{"a", {2, 3}}, {"b", {4}}, {"i", {1}}}, ignore_);
  ASSERT_FALSE(matched);
  EXPECT_EQ(matched.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(matched.error().message, HasSubstr("'i' has elements of type I64"));
}

TEST(Pattern, MatchesTheWholeName) {
  EXPECT_TRUE(matches_pattern("model.layers.3.rotary_emb.inv_freq", "*.rotary_emb.inv_freq"));
  EXPECT_FALSE(matches_pattern("rotary_emb.inv_freq", "*.rotary_emb.inv_freq"));
  EXPECT_FALSE(matches_pattern("a.rotary_emb.inv_freq2", "*.rotary_emb.inv_freq"));
  EXPECT_TRUE(matches_pattern("abcabc", "a*c"));
  EXPECT_TRUE(matches_pattern("abc", "a?c"));
  EXPECT_FALSE(matches_pattern("ac", "a?c"));
  EXPECT_TRUE(matches_pattern("", "**"));
  EXPECT_FALSE(matches_pattern("a", ""));
  EXPECT_TRUE(matches_pattern("a*b", "a*b"));
  EXPECT_TRUE(matches_pattern("mississippi", "*iss*ip*"));
  EXPECT_FALSE(matches_pattern("mississippi", "*iss*ipx"));
}

}  // namespace
}  // namespace sluice::weights
