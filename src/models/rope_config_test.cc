#include "models/rope_config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace sluice::models {
namespace {

RopeConfig read(const char* text, int64_t max_positions = 4096) {
  const Json json = base::parse_json(text).value();
  HfConfig config(json);
  RopeConfig rope = read_rope(config, 10000, max_positions);
  EXPECT_TRUE(config.finish().ok());
  return rope;
}

TEST(Rope, BothWritingsMeanTheSame) {
  const RopeConfig older =
      read(R"({"rope_theta":500000.0,"rope_scaling":{"type":"linear","factor":4}})");
  const RopeConfig newer =
      read(R"({"rope_parameters":{"rope_theta":500000.0,"rope_type":"linear","factor":4}})");
  EXPECT_EQ(older, newer);
  EXPECT_EQ(older.theta, 500000);
  EXPECT_EQ(read("{}").theta, 10000);
}

TEST(Rope, LinearDividesEveryFrequency) {
  float plain[8], scaled[8];
  rope_frequencies(read("{}"), 16, 1, plain);
  rope_frequencies(read(R"({"rope_scaling":{"rope_type":"linear","factor":4}})"), 16, 1, scaled);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(scaled[i], plain[i] / 4);
  EXPECT_EQ(plain[0], 1.0f);
  EXPECT_NEAR(plain[4], 0.01, 1e-8);
}

TEST(Rope, DynamicStretchesOnlyPastTheTrainedLength) {
  const RopeConfig rope = read(R"({"rope_scaling":{"rope_type":"dynamic","factor":2}})", 64);
  EXPECT_FALSE(rope_depends_on_length(rope, 64));
  EXPECT_TRUE(rope_depends_on_length(rope, 65));
  float near[8], trained[8], beyond[8];
  rope_frequencies(rope, 16, 1, near);
  rope_frequencies(rope, 16, 64, trained);
  rope_frequencies(rope, 16, 128, beyond);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(near[i], trained[i]);
  // At twice the trained length with factor 2 the base is stretched by 3^(d / (d - 2)).
  EXPECT_NEAR(beyond[7], std::pow(10000 * std::pow(3.0, 16.0 / 14), -14.0 / 16), 1e-8);
}

TEST(Rope, Llama3KeepsHighAndDividesLowFrequencies) {
  const RopeConfig rope =
      read(R"({"rope_theta":500000.0,"rope_scaling":{"rope_type":"llama3","factor":8,
      "low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":8192}})",
           131072);
  float plain[64], scaled[64];
  rope_frequencies(read(R"({"rope_theta":500000.0})"), 128, 1, plain);
  rope_frequencies(rope, 128, 1, scaled);
  EXPECT_EQ(scaled[0], plain[0]);
  EXPECT_EQ(scaled[63], plain[63] / 8);
}

TEST(Rope, YarnAttentionFactor) {
  const auto factor = [](const char* more) {
    return read(
               (std::string(
                    R"({"rope_scaling":{"rope_type":"yarn","factor":16,"original_max_position_embeddings":256)") +
                more + "}}")
                   .c_str())
        .attention_factor;
  };
  EXPECT_NEAR(factor(""), 0.1 * std::log(16) + 1, 1e-12);
  EXPECT_EQ(factor(R"(,"attention_factor":1.5)"), 1.5);
  EXPECT_EQ(factor(R"(,"mscale":1,"mscale_all_dim":1)"), 1.0);
  EXPECT_NEAR(factor(R"(,"mscale":0.7)"), 0.1 * std::log(16) + 1, 1e-12);
}

TEST(RopeConfig, PositionsStayWholeNumbersWhateverTheFactorIs) {
  RopeConfig rope;
  rope.kind = RopeKind::kLinear;
  for (double factor : {-1e36, -0.0, 1e300, std::numeric_limits<double>::quiet_NaN(),
                        std::numeric_limits<double>::infinity()}) {
    rope.factor = factor;
    EXPECT_GE(scaled_positions(rope, 4096), 4096) << factor;
  }
}

}  // namespace
}  // namespace sluice::models
