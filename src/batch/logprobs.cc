#include "batch/logprobs.h"

#include <charconv>
#include <cmath>
#include <string>

namespace sluice::batch {
namespace {

// JSON has no infinity; this is what vLLM writes for it.
constexpr double kLowest = -9999.0;

// The double that prints as the shortest decimal of the float.
Json shortest(float value) {
  if (!std::isfinite(value) || value < kLowest) return kLowest;
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  double wide = value;
  std::from_chars(text, end, wide);
  return wide;
}

// A token may end inside a character; JSON cannot say so, `bytes` can.
std::string printable(const std::string& bytes) {
  return Json::parse(base::to_line(Json(bytes))).get<std::string>();
}

Json entry(int32_t token, float logprob, const ModelText& text) {
  const std::string bytes = text.token_bytes(token);
  Json list = Json::array();
  for (const char byte : bytes) list.push_back(static_cast<unsigned char>(byte));
  return {{"token", printable(bytes)}, {"logprob", shortest(logprob)}, {"bytes", std::move(list)}};
}

}  // namespace

Json chat_logprobs(const engine::Choice& choice, const ModelText& text) {
  Json content = Json::array();
  for (const engine::TokenLogprob& logprob : choice.logprobs) {
    Json one = entry(logprob.token, logprob.logprob, text);
    one["top_logprobs"] = Json::array();
    for (const auto& [token, value] : logprob.top)
      one["top_logprobs"].push_back(entry(token, value, text));
    content.push_back(std::move(one));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

CompletionLogprobs::CompletionLogprobs(const ModelText& text) : text_(text) {}

void CompletionLogprobs::add_prompt(
    std::span<const int32_t> ids,
    const std::vector<std::optional<engine::TokenLogprob>>& logprobs) {
  for (size_t i = 0; i < ids.size(); ++i) {
    const bool known = i < logprobs.size() && logprobs[i].has_value();
    add_token(ids[i], known ? &*logprobs[i] : nullptr);
  }
}

void CompletionLogprobs::add(const std::vector<engine::TokenLogprob>& logprobs) {
  for (const engine::TokenLogprob& logprob : logprobs) add_token(logprob.token, &logprob);
}

void CompletionLogprobs::add_token(int32_t id, const engine::TokenLogprob* logprob) {
  const std::string bytes = text_.token_bytes(id);
  const std::string token = printable(bytes);
  tokens_.push_back(token);
  text_offset_.push_back(offset_);
  // Special tokens are not part of the text.
  if (!text_.is_special(id)) {
    for (const char byte : bytes) offset_ += (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
  }
  token_logprobs_.push_back(logprob == nullptr ? Json(nullptr) : shortest(logprob->logprob));
  if (logprob == nullptr) {
    top_logprobs_.push_back(nullptr);
    return;
  }
  Json top = Json::object();
  for (const auto& [other, value] : logprob->top) {
    const std::string key = printable(text_.token_bytes(other));
    if (!top.contains(key)) top[key] = shortest(value);
  }
  if (!top.contains(token)) top[token] = shortest(logprob->logprob);
  top_logprobs_.push_back(std::move(top));
}

Json CompletionLogprobs::json() const {
  return {{"tokens", tokens_},
          {"token_logprobs", token_logprobs_},
          {"top_logprobs", top_logprobs_},
          {"text_offset", text_offset_}};
}

}  // namespace sluice::batch
