// What a caller asks of the engine and what it gets: plain data, already tokenized.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"

namespace sluice::engine {

using RequestId = uint64_t;

// The fields of the OpenAI API and of vLLM, with their meanings and defaults there.
struct SamplingParams {
  double temperature = 1.0;  // 0: greedy
  double top_p = 1.0;
  int64_t top_k = 0;  // 0 or -1: all
  double min_p = 0.0;
  double repetition_penalty = 1.0;  // over prompt and output
  double frequency_penalty = 0.0;   // over output
  double presence_penalty = 0.0;    // over output
  std::vector<std::pair<int32_t, float>> logit_bias;
  std::optional<uint64_t> seed;  // absent: drawn from the engine's seed and the request's id
  std::vector<std::string> stop;
  std::vector<int32_t> stop_token_ids;
  bool include_stop_in_output = false;
  int64_t max_tokens = 16;
  int64_t min_tokens = 0;
  bool ignore_eos = false;
  int n = 1;
  std::optional<int> logprobs;         // of output tokens, with this many alternatives
  std::optional<int> prompt_logprobs;  // of prompt tokens, likewise
  bool skip_special_tokens = true;
};

// Guided decoding: the output must match.
struct GuideJsonObject {};
struct GuideJsonSchema {
  std::string schema;
};
struct GuideRegex {
  std::string pattern;
};
struct GuideChoice {
  std::vector<std::string> choices;
};
using GuideSpec =
    std::variant<std::monostate, GuideJsonObject, GuideJsonSchema, GuideRegex, GuideChoice>;

struct Request {
  RequestId id = 0;  // unique among those in the engine
  std::vector<int32_t> prompt;
  SamplingParams sampling;
  GuideSpec guide;
};

enum class FinishReason : uint8_t { kStop, kLength, kCancelled };
const char* name(FinishReason reason);  // "stop", "length", "cancelled"

struct TokenLogprob {
  int32_t token = 0;
  float logprob = 0;
  std::vector<std::pair<int32_t, float>> top;  // most likely first
};

struct Choice {
  int index = 0;
  std::vector<int32_t> tokens;  // without the EOS or stop token that ended it
  std::string text;             // without the stop string, unless asked for
  FinishReason finish = FinishReason::kStop;
  std::optional<std::string> stop_reason;  // the stop string that matched
  std::vector<TokenLogprob> logprobs;      // one per element of `tokens`, if asked for
};

struct RequestOutput {
  RequestId id = 0;
  // The request failed while running; choices are then empty. kFault: by no mistake of its own.
  std::optional<Error> error;
  std::vector<Choice> choices;
  std::vector<std::optional<TokenLogprob>> prompt_logprobs;  // the first token has none
  int64_t prompt_tokens = 0;
  int64_t cached_prompt_tokens = 0;  // taken from the prefix cache
  int64_t completion_tokens = 0;     // sampled tokens, the ending EOS counted
  // [layer * max_experts + expert]: (token, expert) pairs of its rows, prompt and output, if
  // EngineOptions::per_request_experts; rows taken from the prefix cache were not routed again.
  std::vector<uint32_t> expert_tokens;
  double queue_seconds = 0, first_token_seconds = 0, total_seconds = 0;
};

}  // namespace sluice::engine
