#include "memory/expert_use.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace sluice::memory {
namespace {

// Older tokens count less: what lies this many tokens back counts 1/e.
constexpr double kMemoryTokens = 16384;
// The even distribution counts as so many tokens, until there are more measured ones.
constexpr double kPriorTokens = 16;

}  // namespace

ExpertUse::ExpertUse(int layers, int experts, int top_k)
    : layers_(layers),
      experts_(experts),
      top_k_(top_k),
      counts_(static_cast<size_t>(layers) * static_cast<size_t>(experts), 0.0),
      tokens_(static_cast<size_t>(layers), 0.0) {}

void ExpertUse::add(int layer, std::span<const int32_t> expert_tokens, int64_t rows) {
  SLUICE_CHECK(layer < layers_ && expert_tokens.size() <= static_cast<size_t>(experts_),
               "a layer of this model");
  const double kept = std::exp(-static_cast<double>(rows) / kMemoryTokens);
  double* counts = counts_.data() + static_cast<size_t>(layer) * static_cast<size_t>(experts_);
  for (size_t e = 0; e < expert_tokens.size(); ++e) {
    counts[e] = counts[e] * kept + expert_tokens[e];
  }
  double& tokens = tokens_[static_cast<size_t>(layer)];
  tokens = tokens * kept + static_cast<double>(rows);
}

double ExpertUse::share(int layer, int expert) const {
  const auto at =
      static_cast<size_t>(layer) * static_cast<size_t>(experts_) + static_cast<size_t>(expert);
  const double even = static_cast<double>(top_k_) / experts_;
  return (counts_[at] + even * kPriorTokens) / (tokens_[static_cast<size_t>(layer)] + kPriorTokens);
}

double ExpertUse::probability(int layer, int expert, int64_t rows) const {
  const double share = std::min(this->share(layer, expert), 1.0);
  return 1.0 - std::pow(1.0 - share, static_cast<double>(rows));
}

bool ExpertUse::restore(std::span<const double> counts, std::span<const double> tokens) {
  const auto sound = [](double v) { return std::isfinite(v) && v >= 0; };
  if (counts.size() != counts_.size() || tokens.size() != tokens_.size() ||
      !std::ranges::all_of(counts, sound) || !std::ranges::all_of(tokens, sound)) {
    return false;
  }
  std::ranges::copy(counts, counts_.begin());
  std::ranges::copy(tokens, tokens_.begin());
  return true;
}

}  // namespace sluice::memory
