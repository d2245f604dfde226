#include "bench/make_model/router_skew.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace sluice::bench {
namespace {

constexpr int kSimulatedTokens = 8192;
constexpr int kRounds = 40;
constexpr double kStep = 0.7;

float draw_normal(RandomBits& bits) { return normal_levels()[bits() & (kNormalLevels - 1)]; }

// How often each expert is among the top_k largest of noise + offset.
std::vector<double> simulate(const std::vector<float>& noise, const std::vector<double>& offsets,
                             int top_k) {
  const size_t experts = offsets.size();
  // Half a count each keeps the logarithm of a rare one finite.
  std::vector<double> counts(experts, 0.5);
  std::vector<std::pair<double, size_t>> logits(experts);
  for (size_t token = 0; token < size_t{kSimulatedTokens}; ++token) {
    for (size_t e = 0; e < experts; ++e) logits[e] = {noise[token * experts + e] + offsets[e], e};
    std::nth_element(logits.begin(), logits.begin() + (top_k - 1), logits.end(), std::greater<>());
    for (int k = 0; k < top_k; ++k) counts[logits[static_cast<size_t>(k)].second] += 1;
  }
  for (double& count : counts) count /= kSimulatedTokens + 1;
  return counts;
}

}  // namespace

float common_sign(uint64_t seed, int64_t dimension) {
  RandomBits bits(seed ^ (static_cast<uint64_t>(dimension) * base::kSplitMixStep));
  return (bits() & 1u) != 0 ? 1.0f : -1.0f;
}

std::vector<double> zipf_inclusion(int experts, int top_k, double alpha) {
  std::vector<double> inclusion(static_cast<size_t>(experts));
  if (top_k >= experts) return std::vector<double>(inclusion.size(), 1.0);
  // With fewer than one expert in 0.95 to spare, the cap itself must give way.
  const double cap = std::max(kMaxInclusion, static_cast<double>(top_k) / experts);
  // Raise the scale until the capped shares sum to top_k; the sum grows with it.
  double low = 0;
  double high = 1e12;
  for (int i = 0; i < 200; ++i) {
    const double scale = (low + high) / 2;
    double sum = 0;
    for (size_t e = 0; e < inclusion.size(); ++e) {
      inclusion[e] = std::min(cap, scale * std::pow(static_cast<double>(e + 1), -alpha));
      sum += inclusion[e];
    }
    (sum < top_k ? low : high) = scale;
  }
  return inclusion;
}

std::vector<double> offsets_for(const std::vector<double>& inclusion, int top_k, uint64_t seed) {
  const size_t experts = inclusion.size();
  std::vector<double> offsets(experts, 0.0);
  if (static_cast<size_t>(top_k) >= experts) return offsets;
  RandomBits bits(seed, "router offsets");
  std::vector<float> noise(size_t{kSimulatedTokens} * experts);
  for (float& value : noise) value = draw_normal(bits);
  for (size_t e = 0; e < experts; ++e) offsets[e] = normal_quantile(inclusion[e]);
  for (int round = 0; round < kRounds; ++round) {
    const std::vector<double> reached = simulate(noise, offsets, top_k);
    for (size_t e = 0; e < experts; ++e)
      offsets[e] += kStep * (normal_quantile(inclusion[e]) - normal_quantile(reached[e]));
  }
  const double mean =
      std::accumulate(offsets.begin(), offsets.end(), 0.0) / static_cast<double>(experts);
  for (double& offset : offsets) offset -= mean;
  return offsets;
}

RouterRows router_rows(int experts, int64_t hidden, const std::vector<double>& offsets,
                       uint64_t seed, std::string_view name) {
  RandomBits bits(seed, name);
  RouterRows router;
  router.rows.resize(static_cast<size_t>(experts * hidden));
  router.ranking.resize(static_cast<size_t>(experts));
  std::iota(router.ranking.begin(), router.ranking.end(), 0);
  const bool skewed = std::ranges::any_of(offsets, [](double offset) { return offset != 0; });
  // Fisher and Yates; a uniform router has no ranking to hide.
  for (size_t e = router.ranking.size(); skewed && e > 1; --e)
    std::swap(router.ranking[e - 1], router.ranking[bits() % e]);

  const double deviation = 1.0 / std::sqrt(static_cast<double>(hidden));
  // The noise of a logit is that of the state's other power; the offset comes through the common.
  const double per_offset =
      std::sqrt((1 - kCommonPower) / kCommonPower) / static_cast<double>(hidden);
  for (size_t rank = 0; rank < router.ranking.size(); ++rank) {
    float* const row = router.rows.data() + router.ranking[rank] * hidden;
    double along = 0;
    for (int64_t i = 0; i < hidden; ++i) {
      row[i] = draw_normal(bits) * static_cast<float>(deviation);
      along += static_cast<double>(row[i]) * common_sign(seed, i);
    }
    if (!skewed) continue;
    const double shift = per_offset * offsets[rank] - along / static_cast<double>(hidden);
    for (int64_t i = 0; i < hidden; ++i) row[i] += static_cast<float>(shift) * common_sign(seed, i);
  }
  return router;
}

}  // namespace sluice::bench
