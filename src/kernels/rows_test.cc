#include <bit>
#include <cmath>
#include <limits>

#include "kernels/cases.h"
#include "kernels/each_isa.h"
#include "kernels/op_table.h"
#include "kernels/reference/reference.h"

namespace sluice::kernels {
namespace {

constexpr int64_t kDims[] = {1, 2, 15, 16, 17, 31, 64, 100, 2048};
constexpr int64_t kRows = 19;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> sized(int64_t count) {
  return std::vector<float>(static_cast<size_t>(count), -3.0f);
}

TEST(Exp, IsWithinTwoUlpAndTheSameOnEveryIsa) {
  double worst = 0.0;
  const auto check = [&](float x) {
    const float expected = reference::exp(x);
    for (Isa isa : available_isas()) {
      const float got = op_table(isa).exp(x);
      ASSERT_EQ(std::bit_cast<uint32_t>(got), std::bit_cast<uint32_t>(expected)) << name(isa) << x;
    }
    const double truth = std::exp(double{x});
    if (truth < double{std::numeric_limits<float>::min()}) {
      ASSERT_LE(expected, std::numeric_limits<float>::min());
    } else if (truth <= double{std::numeric_limits<float>::max()}) {
      const double ulp = double{std::nextafter(expected, kInfinity)} - double{expected};
      worst = std::max(worst, std::abs(double{expected} - truth) / ulp);
    } else {
      ASSERT_EQ(expected, kInfinity);
    }
  };
  for (float x = -110.0f; x < 95.0f; x += 0.0037f) check(x);
  for (float x : {0.0f, -0.0f, 88.7f, 88.72283f, 88.73f, -87.33f, -87.33654f, -87.34f, 1e-30f,
                  kInfinity, -kInfinity, std::numeric_limits<float>::max()}) {
    check(x);
  }
  EXPECT_LT(worst, 2.0);
  EXPECT_EQ(reference::exp(0.0f), 1.0f);
  for (Isa isa : available_isas())
    EXPECT_TRUE(std::isnan(op_table(isa).exp(std::numeric_limits<float>::quiet_NaN())));
}

TEST(Rows, NormsActivationsAndSumsGiveTheReferencesBits) {
  Random random(11);
  for (int64_t dim : kDims) {
    SCOPED_TRACE(dim);
    const int64_t ld = dim + 3;
    const std::vector<float> x = random.normals(kRows * ld, 3.0f);
    const std::vector<float> other = random.normals(kRows * ld);
    auto norm = sized(kRows * ld), silu = norm, sum = x, bound = x;
    reference::rms_norm(x.data(), ld, other.data(), 1e-5f, kRows, dim, norm.data(), ld);
    reference::silu_mul(x.data(), ld, other.data(), ld, kRows, dim, silu.data(), ld);
    reference::add(other.data(), ld, kRows, dim, sum.data(), ld);
    reference::clamp(bound.data(), ld, kRows, dim, 0.5f);
    std::vector<float> lse(kRows);
    std::vector<int32_t> top(kRows);
    reference::log_sum_exp(x.data(), ld, kRows, dim, lse.data());
    reference::argmax(x.data(), ld, kRows, dim, top.data());
    each_isa([&](const Exec& exec) {
      std::vector<float> y = sized(kRows * ld);
      rms_norm(exec, x.data(), ld, other.data(), 1e-5f, kRows, dim, y.data(), ld);
      ASSERT_TRUE(same_bits(y, norm));
      y = x;  // in place, the space between rows untouched
      rms_norm(exec, y.data(), ld, other.data(), 1e-5f, kRows, dim, y.data(), ld);
      for (int64_t i = 0; i < kRows * ld; ++i) {
        const auto at = static_cast<size_t>(i);
        ASSERT_EQ(y[at], i % ld < dim ? norm[at] : x[at]);
      }
      y = sized(kRows * ld);
      silu_mul(exec, x.data(), ld, other.data(), ld, kRows, dim, y.data(), ld);
      ASSERT_TRUE(same_bits(y, silu));
      y = x;
      add(exec, other.data(), ld, kRows, dim, y.data(), ld);
      ASSERT_TRUE(same_bits(y, sum));
      y = x;
      clamp(exec, y.data(), ld, kRows, dim, 0.5f);
      ASSERT_TRUE(same_bits(y, bound));
      std::vector<float> got_lse(kRows);
      std::vector<int32_t> got_top(kRows);
      log_sum_exp(exec, x.data(), ld, kRows, dim, got_lse.data());
      argmax(exec, x.data(), ld, kRows, dim, got_top.data());
      ASSERT_TRUE(same_bits(got_lse, lse));
      ASSERT_TRUE(same_bits(got_top, top));
    });
    if (HasFailure()) return;
  }
}

TEST(Rows, TheReferencesAreTheirFormulas) {
  Random random(12);
  const int64_t dim = 777;
  const std::vector<float> x = random.normals(dim, 2.0f);
  const std::vector<float> w = random.normals(dim);
  std::vector<float> norm = sized(dim), silu = norm;
  reference::rms_norm(x.data(), dim, w.data(), 1e-6f, 1, dim, norm.data(), dim);
  reference::silu_mul(x.data(), dim, w.data(), dim, 1, dim, silu.data(), dim);
  double squares = 0.0, exponentials = 0.0;
  for (float value : x) {
    squares += double{value} * double{value};
    exponentials += std::exp(double{value});
  }
  for (size_t i = 0; i < x.size(); ++i) {
    const double v = double{x[i]};
    const double u = double{w[i]};
    EXPECT_NEAR(double{norm[i]}, v / std::sqrt(squares / dim + 1e-6) * u, 2e-6);
    EXPECT_NEAR(double{silu[i]}, v / (1.0 + std::exp(-v)) * u, 3e-6);
  }
  float lse = 0.0f;
  reference::log_sum_exp(x.data(), dim, 1, dim, &lse);
  EXPECT_NEAR(double{lse}, std::log(exponentials), 2e-6);
}

TEST(Rows, ArgmaxTakesTheLowestOfEquals) {
  std::vector<float> x(100, 1.0f);
  x[37] = x[64] = 2.0f;
  each_isa([&](const Exec& exec) {
    int32_t top = -1;
    argmax(exec, x.data(), 100, 1, 100, &top);
    EXPECT_EQ(top, 37);
  });
}

TEST(Rows, CombineSumsExpertsInOrder) {
  Random random(13);
  for (int64_t dim : kDims) {
    for (int top_k : {1, 2, 8}) {
      const int64_t slots = kRows * top_k;
      const std::vector<float> out = random.normals(slots * (dim + 1));
      const std::vector<float> weight = random.normals(slots);
      std::vector<int32_t> slot_of;
      for (int64_t i = 0; i < slots; ++i)
        slot_of.push_back(static_cast<int32_t>((i * 5 + 3) % slots));
      const std::vector<float> before = random.normals(kRows * (dim + 2));
      std::vector<float> expected = before;
      reference::combine(out.data(), dim + 1, slot_of.data(), weight.data(), kRows, top_k, dim,
                         expected.data(), dim + 2);
      each_isa([&](const Exec& exec) {
        std::vector<float> y = before;
        combine(exec, out.data(), dim + 1, slot_of.data(), weight.data(), kRows, top_k, dim,
                y.data(), dim + 2);
        ASSERT_TRUE(same_bits(y, expected));
      });
      if (HasFailure()) return;
    }
  }
}

TEST(Rope, TurnsPairsByTheirAngle) {
  Random random(14);
  struct Case {
    int heads, head_dim, rotary_dim;
    bool own_frequencies;
  };
  for (const Case& c : {Case{1, 2, 2, false},
                        {3, 20, 20, false},
                        {2, 128, 64, true},
                        {4, 256, 256, false},
                        {5, 80, 80, true}}) {
    const int64_t ld = int64_t{c.heads} * c.head_dim + 1;
    const std::vector<float> before = random.normals(kRows * ld);
    const int half = c.rotary_dim / 2;
    std::vector<float> frequency;
    for (int64_t i = 0; i < kRows * half; ++i)
      frequency.push_back(static_cast<float>(std::pow(10000.0, -double(i % half) / half)));
    std::vector<int32_t> positions;
    for (int64_t t = 0; t < kRows; ++t) positions.push_back(static_cast<int32_t>(t * t * 97));
    const int64_t ld_frequency = c.own_frequencies ? half : 0;
    std::vector<float> expected = before;
    reference::rope(expected.data(), ld, kRows, c.heads, c.head_dim, c.rotary_dim, positions.data(),
                    frequency.data(), ld_frequency, 1.25f);
    each_isa([&](const Exec& exec) {
      std::vector<float> x = before;
      std::vector<float> cosine(static_cast<size_t>(kRows * half)), sine(cosine.size());
      const RopeAngles angles{cosine.data(), sine.data()};
      rope_angles(exec, kRows, c.rotary_dim, positions.data(), frequency.data(), ld_frequency,
                  1.25f, angles);
      rope(exec, x.data(), ld, kRows, c.heads, c.head_dim, c.rotary_dim, angles);
      ASSERT_TRUE(same_bits(x, expected));
    });
    // A turn keeps the length of each pair, but for the scale.
    for (int i = 0; i < half; ++i) {
      const auto at = static_cast<size_t>(7 * ld + i);
      const auto other = at + static_cast<size_t>(half);
      EXPECT_NEAR(std::hypot(expected[at], expected[other]),
                  1.25f * std::hypot(before[at], before[other]), 1e-5f);
    }
  }
}

TEST(Route, ChoosesTheLargestAndTheLowerOfEquals) {
  Random random(15);
  for (int experts : {1, 8, 60, 64, 128, 1000}) {
    for (int top_k : {1, 2, 8}) {
      if (top_k > experts) continue;
      std::vector<float> logits = random.normals(kRows * experts, 2.0f);
      for (int e = 1; e < experts; ++e) logits[static_cast<size_t>(e)] = logits[0];  // all equal
      for (bool renormalize : {false, true}) {
        const RouterRule rule{RouterRule::Score::kSoftmax, top_k, renormalize};
        std::vector<int32_t> expert(static_cast<size_t>(kRows * top_k));
        std::vector<float> weight = sized(kRows * top_k);
        reference::route(logits.data(), experts, kRows, experts, rule, expert.data(),
                         weight.data());
        for (int k = 0; k < top_k; ++k) EXPECT_EQ(expert[static_cast<size_t>(k)], k);
        double sum = 0.0;
        for (int k = 0; k < top_k; ++k) sum += double{weight[static_cast<size_t>(top_k + k)]};
        if (renormalize) {
          EXPECT_NEAR(sum, 1.0, 1e-6);
        }
        EXPECT_LE(sum, 1.0 + 1e-6);
        each_isa([&](const Exec& exec) {
          std::vector<int32_t> got_expert(expert.size(), -1);
          std::vector<float> got_weight(weight.size());
          route(exec, logits.data(), experts, kRows, experts, rule, got_expert.data(),
                got_weight.data());
          ASSERT_TRUE(same_bits(got_expert, expert));
          ASSERT_TRUE(same_bits(got_weight, weight));
        });
        if (HasFailure()) return;
      }
    }
  }
}

TEST(Route, TakesNoExpertTwiceEvenWithoutNumbers) {
  const std::vector<float> logits(8, std::numeric_limits<float>::quiet_NaN());
  each_isa([&](const Exec& exec) {
    std::vector<int32_t> expert(3, -1);
    std::vector<float> weight(3);
    route(exec, logits.data(), 8, 1, 8, {RouterRule::Score::kSoftmax, 3, true}, expert.data(),
          weight.data());
    EXPECT_EQ(expert, (std::vector<int32_t>{0, 1, 2}));
  });
}

TEST(Embed, LooksRowsUp) {
  Random random(16);
  const RandomMatrix table(tensor::DType::kBF16, 50, 33, random);
  const std::vector<int32_t> ids = {0, 49, 7, 7, 16};
  std::vector<float> expected = sized(5 * 34);
  reference::embed(table.matrix, ids.data(), 5, expected.data(), 34);
  each_isa([&](const Exec& exec) {
    std::vector<float> out = sized(5 * 34);
    embed(exec, table.matrix, ids.data(), 5, out.data(), 34);
    ASSERT_TRUE(same_bits(out, expected));
  });
}

}  // namespace
}  // namespace sluice::kernels
