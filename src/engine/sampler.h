// From a row of logits to the next token.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/request.h"

namespace sluice::engine {

// What the choice of one token depends on besides its logits. Nothing here depends on the batch,
// the slot or the time, so a request draws the same tokens wherever it runs.
struct SampleContext {
  const SamplingParams* params = nullptr;
  std::span<const int32_t> prompt;
  std::span<const int32_t> output;
  std::span<const int32_t> forbidden;      // tokens that may not come yet (EOS before min_tokens)
  std::span<const uint32_t> allowed_bits;  // a guide's mask, bit i of word i / 32; empty: all
  uint64_t seed = 0;  // of the choice; the draw is keyed by (seed, output.size())
};

// Reusable scratch, sized once by the vocabulary. Not thread-safe.
class Sampler {
 public:
  explicit Sampler(int vocab);

  // Changes `logits` [vocab] in place. The order is vLLM's: mask, bias, penalties, temperature,
  // min_p, top_k, top_p, draw.
  int32_t sample(std::span<float> logits, const SampleContext& context);

  // The log-probability of `token` in softmax(logits) and the `top` most likely (most likely first,
  // ties by id). Call before sample().
  TokenLogprob logprob(std::span<const float> logits, int32_t token, int top);

 private:
  struct Candidate {
    float logit;
    int32_t token;
  };

  float log_normalizer(std::span<const float> logits) const;
  void apply_mask(std::span<float> logits, const SampleContext& context) const;
  void apply_penalties(std::span<float> logits, const SampleContext& context);
  int32_t draw(std::span<const float> logits, const SampleContext& context);
  static int32_t draw_by_id(std::span<const float> logits, double high, double scale,
                            double target);
  size_t keep_top(std::span<const float> logits, size_t count);
  int32_t draw_from(size_t kept, double total, double scale, double target) const;

  std::vector<Candidate> candidates_;  // [vocab]
  std::vector<int32_t> counts_;        // [vocab], all zero between calls
};

// A uniform number in [0, 1) from a seed and a counter (SplitMix64).
double uniform(uint64_t seed, uint64_t counter);
uint64_t mix(uint64_t value);

}  // namespace sluice::engine
