#include "engine/request_check.h"

#include <cmath>

namespace sluice::engine {
namespace {

Error bad(const std::string& message) { return {ErrorCode::kInvalid, message}; }

Status check_ids(const std::vector<int32_t>& ids, const char* field, int vocab) {
  for (int32_t id : ids) {
    if (id < 0 || id >= vocab) {
      return bad(std::string(field) + " holds token " + std::to_string(id) +
                 ", outside the vocabulary of " + std::to_string(vocab));
    }
  }
  return {};
}

Status check_range(const char* field, double value, double low, double high) {
  if (std::isfinite(value) && value >= low && value <= high) return {};
  char text[160];
  std::snprintf(text, sizeof text, "%s is %g; %g to %g is expected", field, value, low, high);
  return bad(text);
}

Status check_sampling(const SamplingParams& p, int vocab) {
  SLUICE_TRY(check_range("temperature", p.temperature, 0, 100));
  SLUICE_TRY(check_range("top_p", p.top_p, 1e-9, 1));
  SLUICE_TRY(check_range("min_p", p.min_p, 0, 1));
  SLUICE_TRY(check_range("repetition_penalty", p.repetition_penalty, 1e-3, 1e3));
  SLUICE_TRY(check_range("frequency_penalty", p.frequency_penalty, -2, 2));
  SLUICE_TRY(check_range("presence_penalty", p.presence_penalty, -2, 2));
  SLUICE_TRY(check_range("top_k", static_cast<double>(p.top_k), -1, 1e9));
  SLUICE_TRY(check_range("n", p.n, 1, kMaxChoices));
  SLUICE_TRY(check_range("logprobs", p.logprobs.value_or(0), 0, kMaxLogprobs));
  SLUICE_TRY(check_range("prompt_logprobs", p.prompt_logprobs.value_or(0), 0, kMaxLogprobs));
  SLUICE_TRY(check_range("min_tokens", static_cast<double>(p.min_tokens), 0,
                         static_cast<double>(p.max_tokens)));
  if (p.logit_bias.size() > kMaxLogitBias) {
    return bad("logit_bias has more than " + std::to_string(kMaxLogitBias) + " entries");
  }
  for (const auto& [token, bias] : p.logit_bias) {
    if (token < 0 || token >= vocab) {
      return bad("logit_bias names token " + std::to_string(token) +
                 ", outside the vocabulary of " + std::to_string(vocab));
    }
    SLUICE_TRY(check_range("logit_bias", bias, -100, 100));
  }
  return check_ids(p.stop_token_ids, "stop_token_ids", vocab);
}

Status check_stops(const SamplingParams& p, bool has_tokenizer) {
  if (p.stop.empty()) return {};
  if (!has_tokenizer) return bad("stop strings need a tokenizer, which this model lacks");
  if (p.stop.size() > kMaxStopStrings) {
    return bad("stop has more than " + std::to_string(kMaxStopStrings) + " strings");
  }
  for (const std::string& stop : p.stop) {
    if (stop.empty()) return bad("stop holds an empty string");
    if (stop.size() > kMaxStopBytes) {
      return bad("stop holds a string of more than " + std::to_string(kMaxStopBytes) + " bytes");
    }
  }
  return {};
}

}  // namespace

Status check_request(const Request& request, const RequestLimits& limits) {
  const SamplingParams& p = request.sampling;
  const auto prompt = static_cast<int64_t>(request.prompt.size());
  if (prompt == 0) return bad("the prompt is empty");
  SLUICE_TRY(check_ids(request.prompt, "the prompt", limits.vocab));
  if (p.max_tokens < 0) return bad("max_tokens is negative");
  if (p.max_tokens == 0 && !p.prompt_logprobs) {
    return bad("max_tokens is 0 and nothing is asked of the prompt");
  }
  if (prompt > limits.max_seq_len || p.max_tokens > limits.max_seq_len - prompt) {
    return bad("the prompt's " + std::to_string(prompt) + " tokens and max_tokens " +
               std::to_string(p.max_tokens) + " together pass the longest sequence of " +
               std::to_string(limits.max_seq_len) + " tokens");
  }
  SLUICE_TRY(check_sampling(p, limits.vocab));
  SLUICE_TRY(check_stops(p, limits.has_tokenizer));
  if (!std::holds_alternative<std::monostate>(request.guide) && !limits.has_tokenizer) {
    return bad("guided decoding needs a tokenizer, which this model lacks");
  }
  return {};
}

}  // namespace sluice::engine
