#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "bench/make_model/model_writer.h"
#include "bench/make_model/random_normal.h"
#include "bench/make_model/router_skew.h"
#include "models/family.h"
#include "tensor/float.h"
#include "weights/checkpoint.h"
#include "weights/match.h"

namespace sluice::bench {
namespace {

using ::testing::HasSubstr;

TEST(RandomNormal, HasTheMomentsOfANormal) {
  std::vector<float> values(1 << 20);
  RandomBits bits(7, "x");
  fill_from_levels(std::span(values), normal_levels(), bits);
  double sum = 0;
  double squares = 0;
  double fourth = 0;
  for (const double value : values) {
    sum += value;
    squares += value * value;
    fourth += value * value * value * value;
  }
  const auto count = static_cast<double>(values.size());
  EXPECT_NEAR(sum / count, 0, 0.005);
  EXPECT_NEAR(squares / count, 1, 0.01);
  EXPECT_NEAR(fourth / count, 3, 0.1);
  EXPECT_NEAR(normal_quantile(0.975), 1.959964, 1e-6);
}

TEST(RouterSkew, InclusionFollowsZipfUpToTheCap) {
  const auto uniform = zipf_inclusion(64, 8, 0);
  for (const double p : uniform) EXPECT_NEAR(p, 8.0 / 64, 1e-9);
  const auto zipf = zipf_inclusion(64, 2, 1);
  EXPECT_NEAR(std::accumulate(zipf.begin(), zipf.end(), 0.0), 2, 1e-9);
  EXPECT_NEAR(zipf[0] / zipf[9], 10, 1e-6);
  const auto capped = zipf_inclusion(8, 2, 2);
  EXPECT_NEAR(std::accumulate(capped.begin(), capped.end(), 0.0), 2, 1e-9);
  EXPECT_DOUBLE_EQ(capped[0], kMaxInclusion);
  EXPECT_NEAR(capped[1] / capped[3], 4, 1e-6);
}

// The share of tokens that choose each expert, most popular first, over hidden states as the
// models have them: noise with the common direction, of length sqrt(hidden).
std::vector<double> measured_inclusion(const RouterRows& router, int experts, int top_k, int hidden,
                                       uint64_t seed) {
  constexpr int kTokens = 3000;
  RandomBits bits(99, "states");
  std::vector<double> share(static_cast<size_t>(experts), 0);
  std::vector<float> state(static_cast<size_t>(hidden));
  std::vector<std::pair<float, int>> logits(static_cast<size_t>(experts));
  for (int token = 0; token < kTokens; ++token) {
    fill_from_levels(std::span(state), normal_levels(), bits);
    for (int i = 0; i < hidden; ++i) {
      float& value = state[static_cast<size_t>(i)];
      value = value * static_cast<float>(std::sqrt(1 - kCommonPower)) +
              common_sign(seed, i) * static_cast<float>(std::sqrt(kCommonPower));
    }
    for (int e = 0; e < experts; ++e) {
      const auto row = router.rows.begin() + static_cast<ptrdiff_t>(e) * hidden;
      logits[static_cast<size_t>(e)] = {std::inner_product(state.begin(), state.end(), row, 0.0f),
                                        e};
    }
    std::ranges::partial_sort(logits, logits.begin() + top_k, std::greater<>());
    for (int k = 0; k < top_k; ++k)
      share[static_cast<size_t>(logits[static_cast<size_t>(k)].second)] += 1.0 / kTokens;
  }
  std::vector<double> ranked;
  for (const int expert : router.ranking) ranked.push_back(share[static_cast<size_t>(expert)]);
  return ranked;
}

TEST(RouterSkew, ExpertsAreChosenAsZipfSays) {
  const struct {
    int experts;
    int top_k;
    double alpha;
  } cases[] = {{8, 2, 0.5}, {8, 2, 1.0}, {64, 8, 1.0}, {128, 8, 0.8}};
  constexpr int kHidden = 512;
  for (const auto& c : cases) {
    const auto wanted = zipf_inclusion(c.experts, c.top_k, c.alpha);
    const auto router =
        router_rows(c.experts, kHidden, offsets_for(wanted, c.top_k, 3), 3, "layer");
    const auto reached = measured_inclusion(router, c.experts, c.top_k, kHidden, 3);
    double distance = 0;  // total variation between the two popularities
    for (size_t rank = 0; rank < wanted.size(); ++rank) {
      // Rows of 512 random numbers differ in length by some per cent, and 3000 tokens are few.
      EXPECT_NEAR(reached[rank], wanted[rank], 0.15 * wanted[rank] + 0.02)
          << c.experts << " experts, alpha " << c.alpha << ", rank " << rank;
      distance += std::fabs(reached[rank] - wanted[rank]) / 2 / c.top_k;
    }
    EXPECT_LT(distance, 0.06) << c.experts << " experts, alpha " << c.alpha;
  }
}

TEST(RouterSkew, AUniformRouterPrefersNobody) {
  constexpr int kHidden = 2048;
  const auto router = router_rows(8, kHidden, std::vector<double>(8, 0.0), 3, "layer");
  // Directionless states: a uniform model has no common direction.
  RandomBits bits(5, "states");
  std::vector<double> share(8, 0);
  std::vector<float> state(kHidden);
  for (int token = 0; token < 4000; ++token) {
    fill_from_levels(std::span(state), normal_levels(), bits);
    std::vector<std::pair<float, size_t>> logits;
    for (size_t e = 0; e < 8; ++e)
      logits.push_back(
          {std::inner_product(state.begin(), state.end(),
                              router.rows.begin() + static_cast<ptrdiff_t>(e) * kHidden, 0.0f),
           e});
    std::ranges::partial_sort(logits, logits.begin() + 2, std::greater<>());
    for (size_t k = 0; k < 2; ++k) share[logits[k].second] += 1.0 / 4000;
  }
  for (const double p : share) EXPECT_NEAR(p, 0.25, 0.04);
}

TEST(Geometry, EveryConfigIsOneThatSluiceReads) {
  for (const std::string& name : geometry_names()) {
    const auto config = geometry_config(name, {}, "bfloat16");
    ASSERT_TRUE(config) << name << ": " << config.error().message;
    const auto read = models::read_config(*config);
    EXPECT_TRUE(read) << name << ": " << read.error().message;
  }
  EXPECT_THAT(geometry_config("gpt-9", {}, "float32").error().message,
              HasSubstr("there are mixtral-8x7b"));
  EXPECT_THAT(geometry_config("olmoe-1b-7b", {.layers = 17}, "float32").error().message,
              HasSubstr("--layers 17: this geometry has 1 to 16"));
  EXPECT_THAT(geometry_config("olmoe-1b-7b", {.vocab = -1}, "float32").error().message,
              HasSubstr("--vocab -1"));
  EXPECT_THAT(geometry_config("olmoe-1b-7b", {.experts = 7}, "float32").error().message,
              HasSubstr("--experts 7: this geometry has 8 to 64"));
  EXPECT_THAT(geometry_config("llama-3.1-8b", {.experts = 8}, "float32").error().message,
              HasSubstr("has no experts"));
}

TEST(Geometry, HasTheParametersThatItsModelIsNamedFor) {
  const struct {
    const char* name;
    double total;
    double active;
  } cases[] = {{"mixtral-8x7b", 46.7e9, 12.9e9},
               {"olmoe-1b-7b", 6.92e9, 1.3e9},
               {"qwen3-30b-a3b", 30.5e9, 3.3e9},
               {"llama-3.2-1b", 1.24e9, 1.24e9},
               {"llama-3.1-8b", 8.03e9, 8.03e9}};
  for (const auto& c : cases) {
    const auto config = models::read_config(*geometry_config(c.name, {}, "bfloat16"));
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_NEAR(static_cast<double>(models::count_parameters(*config).total()), c.total,
                0.01 * c.total);
    EXPECT_NEAR(static_cast<double>(models::active_parameters(*config)), c.active, 0.1 * c.active);
  }
}

class MakeModel : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = std::filesystem::temp_directory_path() /
                 ("sluice_make_model_" + std::to_string(::getpid()));
    std::filesystem::remove_all(directory_);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::filesystem::path directory_;
};

TEST_F(MakeModel, WritesShardsThatMatchTheConfig) {
  ModelRecipe recipe{.geometry = "olmoe-1b-7b",
                     .cut = {.layers = 1, .vocab = 256, .experts = 8},
                     .seed = 5,
                     .zipf_alpha = 1,
                     .max_shard_bytes = 50'000'000};
  const auto written = write_random_model(directory_, recipe);
  ASSERT_TRUE(written) << written.error().message;
  const auto checkpoint = weights::open_checkpoint(directory_);
  ASSERT_TRUE(checkpoint) << checkpoint.error().message;
  EXPECT_EQ(checkpoint->files().size(), 3u);

  std::ifstream file(directory_ / "config.json");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto json = base::parse_json(text);
  ASSERT_TRUE(json);
  const auto family = models::find_family(*json);
  ASSERT_TRUE(family);
  const auto config = (*family)->read(*json);
  ASSERT_TRUE(config) << config.error().message;
  std::vector<weights::TensorSpec> specs;
  for (const auto& slot : models::tensor_table(*config, (*family)->names()))
    specs.push_back({slot.name, slot.shape});
  const auto matched = weights::match(*checkpoint, specs);
  ASSERT_TRUE(matched) << matched.error().message;

  // Up projections: variance 1 / hidden.
  const auto up = checkpoint->tensor("model.layers.0.mlp.experts.3.up_proj.weight");
  ASSERT_TRUE(up);
  double squares = 0;
  const auto* values = reinterpret_cast<const uint16_t*>(up->data);
  for (int64_t i = 0; i < up->shape.elements(); ++i)
    squares += std::pow(static_cast<double>(tensor::bf16_to_f32(values[i])), 2);
  EXPECT_NEAR(squares / static_cast<double>(up->shape.elements()) * 2048, 1, 0.02);

  const auto again = write_random_model(directory_, recipe);
  EXPECT_THAT(again.error().message, HasSubstr("is not an empty directory"));
}

TEST_F(MakeModel, RefusesWhatDoesNotFitOrApply) {
  std::filesystem::create_directories(directory_);
  EXPECT_THAT(
      write_random_model(directory_, {.geometry = "llama-3.2-1b", .zipf_alpha = 1}).error().message,
      HasSubstr("has no experts"));
}

}  // namespace
}  // namespace sluice::bench
