// Log probabilities in the two shapes of OpenAI's API.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/json.h"
#include "batch/model_text.h"
#include "engine/request.h"

namespace sluice::batch {

// Chat: {"content": [{"token", "logprob", "bytes", "top_logprobs": [...]}], "refusal": null}.
Json chat_logprobs(const engine::Choice& choice, const ModelText& text);

// Completions: {"tokens", "token_logprobs", "top_logprobs", "text_offset"}, lists side by side.
class CompletionLogprobs {
 public:
  // The token itself is always among the alternatives.
  explicit CompletionLogprobs(const ModelText& text);

  // Echoed tokens; one without a log probability (the first) has null.
  void add_prompt(std::span<const int32_t> ids,
                  const std::vector<std::optional<engine::TokenLogprob>>& logprobs);
  void add(const std::vector<engine::TokenLogprob>& logprobs);
  Json json() const;

 private:
  void add_token(int32_t id, const engine::TokenLogprob* logprob);

  const ModelText& text_;
  Json tokens_ = Json::array(), token_logprobs_ = Json::array();
  Json top_logprobs_ = Json::array(), text_offset_ = Json::array();
  int64_t offset_ = 0;  // in characters
};

}  // namespace sluice::batch
