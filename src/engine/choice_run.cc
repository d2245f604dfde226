#include "engine/choice_run.h"

#include <algorithm>

namespace sluice::engine {

ChoiceRun::ChoiceRun(RequestRun& request, int index, int64_t token_limit,
                     const text::Tokenizer* tokenizer, std::optional<text::Guide> guide,
                     size_t mask_words)
    : request_(&request), index_(index), token_limit_(token_limit), guide_(std::move(guide)) {
  const SamplingParams& params = request.request.sampling;
  if (tokenizer != nullptr) detokenizer_.emplace(*tokenizer, params.skip_special_tokens);
  if (guide_) mask_.resize(mask_words);
  context_.reserve(static_cast<size_t>(token_limit));
  result_.index = index;
  result_.tokens.reserve(static_cast<size_t>(token_limit));
}

std::span<const int32_t> ChoiceRun::forbidden() const {
  const bool early = static_cast<int64_t>(context_.size()) < request_->request.sampling.min_tokens;
  return early ? std::span<const int32_t>(request_->enders) : std::span<const int32_t>();
}

void ChoiceRun::step(std::span<float> logits, Sampler& sampler, std::vector<float>& raw) {
  const SamplingParams& params = request_->request.sampling;
  if (guide_) {
    if (auto status = guide_->mask(mask_); !status) {
      error_ = status.error();
      return end(FinishReason::kStop);
    }
  }
  if (params.logprobs) std::ranges::copy(logits, raw.begin());
  const int32_t token =
      sampler.sample(logits, {.params = &params,
                              .prompt = request_->request.prompt,
                              .output = context_,
                              .forbidden = forbidden(),
                              .allowed_bits = mask_,
                              .seed = mix(request_->seed + static_cast<uint64_t>(index_))});
  std::optional<TokenLogprob> logprob;
  if (params.logprobs) logprob = sampler.logprob(raw, token, *params.logprobs);
  if (guide_) {
    if (auto status = guide_->accept(token); !status) {
      error_ = status.error();
      return end(FinishReason::kStop);
    }
  }
  append(token, std::move(logprob));
}

void ChoiceRun::append(int32_t token, std::optional<TokenLogprob> logprob) {
  const SamplingParams& params = request_->request.sampling;
  context_.push_back(token);
  last_token_ = token;
  sampled = true;
  if (std::ranges::find(request_->enders, token) != request_->enders.end()) {
    return end(FinishReason::kStop);
  }
  result_.tokens.push_back(token);
  if (logprob) result_.logprobs.push_back(std::move(*logprob));
  if (detokenizer_) {
    const size_t scanned = result_.text.size();
    result_.text += detokenizer_->push(token);
    const bool may_stop = static_cast<int64_t>(context_.size()) >= params.min_tokens;
    if (may_stop && stop_at_string(scanned)) return;
  }
  if (static_cast<int64_t>(context_.size()) >= token_limit_) end(FinishReason::kLength);
}

bool ChoiceRun::stop_at_string(size_t scanned) {
  const StopStrings& stops = request_->stop_strings;
  if (stops.empty()) return false;
  const auto found = stops.find(result_.text, scanned);
  if (!found) return false;
  result_.stop_reason = stops[found->which];
  result_.text.resize(request_->request.sampling.include_stop_in_output ? found->end : found->at);
  ended_ = true;
  result_.finish = FinishReason::kStop;
  return true;
}

void ChoiceRun::end(FinishReason reason) {
  if (ended_) return;
  // Bytes still held may complete a stop string.
  if (detokenizer_ && reason != FinishReason::kCancelled) {
    const size_t scanned = result_.text.size();
    result_.text += detokenizer_->finish();
    if (result_.text.size() > scanned && stop_at_string(scanned)) return;
  }
  ended_ = true;
  result_.finish = reason;
}

std::string ChoiceRun::take_pending() {
  size_t ready = result_.text.size();
  if (!ended_) ready -= request_->stop_strings.held_back(result_.text);
  if (ready <= shown_) return {};
  std::string piece = result_.text.substr(shown_, ready - shown_);
  shown_ = ready;
  return piece;
}

Choice ChoiceRun::take_result() { return std::move(result_); }

}  // namespace sluice::engine
