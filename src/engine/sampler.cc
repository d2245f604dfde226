#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/random.h"

namespace sluice::engine {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

bool penalized(const SamplingParams& p) {
  return p.repetition_penalty != 1.0 || p.frequency_penalty != 0.0 || p.presence_penalty != 0.0;
}

int32_t highest(std::span<const float> logits) {
  const auto best = std::max_element(logits.begin(), logits.end());  // the first of equals
  return static_cast<int32_t>(best - logits.begin());
}

}  // namespace

uint64_t mix(uint64_t value) { return base::mix_bits(value + base::kSplitMixStep); }

double uniform(uint64_t seed, uint64_t counter) {
  return base::unit_interval(mix(mix(seed) ^ mix(counter + 0x632be59bd9b4e019ull)));
}

Sampler::Sampler(int vocab)
    : candidates_(static_cast<size_t>(vocab)), counts_(static_cast<size_t>(vocab), 0) {}

void Sampler::apply_mask(std::span<float> logits, const SampleContext& context) const {
  if (!context.allowed_bits.empty()) {
    const size_t known = std::min(logits.size(), context.allowed_bits.size() * 32);
    for (size_t i = 0; i < known; ++i) {
      if ((context.allowed_bits[i / 32] >> (i % 32) & 1u) == 0) logits[i] = kNever;
    }
    std::fill(logits.begin() + static_cast<std::ptrdiff_t>(known), logits.end(), kNever);
  }
  for (int32_t token : context.forbidden) logits[static_cast<size_t>(token)] = kNever;
  for (const auto& [token, bias] : context.params->logit_bias)
    logits[static_cast<size_t>(token)] += bias;
}

void Sampler::apply_penalties(std::span<float> logits, const SampleContext& context) {
  const SamplingParams& p = *context.params;
  if (!penalized(p)) return;
  for (int32_t token : context.output) ++counts_[static_cast<size_t>(token)];
  const auto penalize = [&](int32_t token, int32_t count) {
    float& logit = logits[static_cast<size_t>(token)];
    const auto repetition = static_cast<float>(p.repetition_penalty);
    logit = logit > 0 ? logit / repetition : logit * repetition;
    if (count > 0) {
      logit -= static_cast<float>(p.frequency_penalty) * static_cast<float>(count) +
               static_cast<float>(p.presence_penalty);
    }
  };
  // Each token once: a penalized one's count turns negative.
  for (int32_t token : context.output) {
    int32_t& count = counts_[static_cast<size_t>(token)];
    if (count <= 0) continue;
    penalize(token, count);
    count = -1;
  }
  if (p.repetition_penalty != 1.0) {
    for (int32_t token : context.prompt) {
      int32_t& count = counts_[static_cast<size_t>(token)];
      if (count != 0) continue;
      penalize(token, 0);
      count = -1;
    }
    for (int32_t token : context.prompt) counts_[static_cast<size_t>(token)] = 0;
  }
  for (int32_t token : context.output) counts_[static_cast<size_t>(token)] = 0;
}

// Fills candidates_ with the `count` highest logits, highest first; ties by id.
size_t Sampler::keep_top(std::span<const float> logits, size_t count) {
  size_t live = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] != kNever) candidates_[live++] = {logits[i], static_cast<int32_t>(i)};
  }
  const size_t kept = std::min(count, live);
  std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(kept),
                    candidates_.begin() + static_cast<std::ptrdiff_t>(live),
                    [](const Candidate& a, const Candidate& b) {
                      return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
                    });
  return kept;
}

// The first of the kept candidates at which the running sum of probabilities passes `target` *
// total.
int32_t Sampler::draw_from(size_t kept, double total, double scale, double target) const {
  const double high = candidates_[0].logit;
  double sum = 0;
  for (size_t i = 0; i < kept; ++i) {
    sum += std::exp((candidates_[i].logit - high) * scale);
    if (sum > target * total) return candidates_[i].token;
  }
  return candidates_[kept - 1].token;
}

// Nothing is cut: no order is needed.
int32_t Sampler::draw_by_id(std::span<const float> logits, double high, double scale,
                            double target) {
  double total = 0;
  for (float logit : logits) total += std::exp((logit - high) * scale);
  double sum = 0;
  int32_t last = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] == kNever) continue;
    sum += std::exp((logits[i] - high) * scale);
    last = static_cast<int32_t>(i);
    if (sum > target * total) break;
  }
  return last;
}

int32_t Sampler::draw(std::span<const float> logits, const SampleContext& context) {
  const SamplingParams& p = *context.params;
  const double scale = 1.0 / p.temperature;
  const double target = uniform(context.seed, context.output.size());
  const size_t vocab = logits.size();
  const size_t top_k = p.top_k > 0 ? std::min<size_t>(static_cast<size_t>(p.top_k), vocab) : vocab;
  const double high = logits[static_cast<size_t>(highest(logits))];

  if (top_k == vocab && p.top_p >= 1.0 && p.min_p <= 0.0)
    return draw_by_id(logits, high, scale, target);

  // Nucleus and min_p cut a sorted list: sort a little, and more only if the nucleus is larger.
  double everything = 0;
  if (top_k == vocab) {
    for (float logit : logits) everything += std::exp((logit - high) * scale);
  }
  for (size_t sorted = p.top_p < 1.0 ? std::min<size_t>(top_k, 256) : top_k;;
       sorted = std::min(top_k, sorted * 8)) {
    const size_t live = keep_top(logits, sorted);
    double within = everything;
    if (top_k != vocab) {
      if (sorted < top_k) continue;  // top_k of them must be summed before top_p applies
      within = 0;
      for (size_t i = 0; i < live; ++i) within += std::exp((candidates_[i].logit - high) * scale);
    }
    double sum = 0;
    size_t kept = 0;
    bool closed = live < sorted || sorted == top_k;
    while (kept < live) {
      const double probability = std::exp((candidates_[kept].logit - high) * scale);
      if (kept > 0 && probability < p.min_p) {
        closed = true;
        break;
      }
      sum += probability;
      ++kept;
      if (p.top_p < 1.0 && sum >= p.top_p * within) {
        closed = true;
        break;
      }
    }
    if (closed) return draw_from(kept, sum, scale, target);
  }
}

int32_t Sampler::sample(std::span<float> logits, const SampleContext& context) {
  SLUICE_CHECK(logits.size() == counts_.size(), "a row of logits is as long as the vocabulary");
  apply_mask(logits, context);
  apply_penalties(logits, context);
  if (context.params->temperature == 0.0) return highest(logits);
  return draw(logits, context);
}

float Sampler::log_normalizer(std::span<const float> logits) const {
  const double high = logits[static_cast<size_t>(highest(logits))];
  double sum = 0;
  for (float logit : logits) sum += std::exp(logit - high);
  return static_cast<float>(high + std::log(sum));
}

TokenLogprob Sampler::logprob(std::span<const float> logits, int32_t token, int top) {
  const float normalizer = log_normalizer(logits);
  TokenLogprob result{
      .token = token, .logprob = logits[static_cast<size_t>(token)] - normalizer, .top = {}};
  const size_t kept = top > 0 ? keep_top(logits, static_cast<size_t>(top)) : 0;
  result.top.reserve(kept);
  for (size_t i = 0; i < kept; ++i)
    result.top.emplace_back(candidates_[i].token, candidates_[i].logit - normalizer);
  return result;
}

}  // namespace sluice::engine
