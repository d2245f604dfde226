// For tests: an engine that answers without a model, a token per sequence and step, and a text side
// of one token per byte. Deterministic: an answer follows from the prompt alone.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "batch/model_text.h"
#include "engine/engine.h"

namespace sluice::batch {

class FakeText : public ModelText {
 public:
  Result<std::vector<int32_t>> render(const BatchLine& line) const override {
    std::string text;
    for (const Json& message : line.messages) {
      const Json& content = message["content"];
      text += "<" + message["role"].get<std::string>() + ">";
      text += content.is_string() ? content.get<std::string>() : base::to_line(content);
    }
    if (text.find("REFUSE") != std::string::npos)
      return Error{ErrorCode::kInvalid, "the template refuses this"};
    return encode(text, false);
  }
  Result<std::vector<int32_t>> encode(std::string_view text, bool) const override {
    std::vector<int32_t> ids;
    for (const char byte : text) ids.push_back(static_cast<unsigned char>(byte));
    return ids;
  }
  Result<std::string> decode(std::span<const int32_t> ids, bool) const override {
    std::string text;
    for (const int32_t id : ids) text += token_bytes(id);
    return text;
  }
  std::string token_bytes(int32_t id) const override {
    return id < 256 ? std::string(1, static_cast<char>(id)) : std::string();
  }
  bool is_special(int32_t id) const override { return id >= 256; }
};

// Answers with the prompt, last token first, up to max_tokens.
class FakeEngine : public engine::Engine {
 public:
  explicit FakeEngine(int64_t batch = 4, int64_t max_queued = 8) : max_queued_(max_queued) {
    plan_.policy.batch = batch;
    plan_.policy.micro_batch = batch;
    plan_.max_seq_len = 128;
    stats_.kv_blocks = 100;
  }

  Status check(const engine::Request& request) const override {
    for (const int32_t id : request.prompt) {
      if (id > 256)
        return Error{ErrorCode::kInvalid,
                     "token " + std::to_string(id) + " is not in the vocabulary"};
    }
    return {};
  }
  Status submit(engine::Request request) override {
    if (queued() >= max_queued_) return Error{ErrorCode::kNoRoom, "the queue is full"};
    queue_.push_back(std::move(request));
    most_queued = std::max(most_queued, queued());
    return {};
  }
  void cancel(engine::RequestId id) override { cancelled_.push_back(id); }
  Status step(engine::EventSink& sink) override {
    ++steps;
    if (fail_at_step != 0 && steps >= fail_at_step)
      return Error{ErrorCode::kFault, "the machine broke"};
    for (const engine::RequestId id : std::exchange(cancelled_, {})) drop(id, sink);
    while (running() < plan_.policy.batch && !queue_.empty()) {
      stats_.prompt_tokens += static_cast<int64_t>(queue_.front().prompt.size());
      running_.push_back({std::move(queue_.front()), {}});
      queue_.pop_front();
    }
    std::vector<Run> still;
    std::vector<engine::RequestOutput> finished;
    for (Run& run : running_) {
      const auto at = run.made.size();
      const auto& prompt = run.request.prompt;
      const bool more =
          at < prompt.size() && static_cast<int64_t>(at) < run.request.sampling.max_tokens;
      if (more) {
        const int32_t token = prompt[prompt.size() - 1 - at];
        run.made.push_back(token);
        ++stats_.generated_tokens;
        if (sink.on_token)
          sink.on_token(run.request.id, 0, std::string(1, static_cast<char>(token)), token);
        still.push_back(std::move(run));
      } else {
        finished.push_back(output(run, engine::FinishReason::kStop));
        if (fault_on != 0 && std::ranges::find(prompt, fault_on) != prompt.end()) {
          finished.back().choices.clear();
          finished.back().error = Error{ErrorCode::kFault, "expert 3 of layer 1 is gone"};
        }
      }
    }
    running_ = std::move(still);
    for (auto& one : finished) sink.on_finished(std::move(one));
    return {};
  }
  bool idle() const override { return queue_.empty() && running_.empty(); }
  int64_t queued() const override { return static_cast<int64_t>(queue_.size()); }
  int64_t running() const override { return static_cast<int64_t>(running_.size()); }
  const models::ModelConfig& config() const override { return config_; }
  const plan::Plan& plan() const override { return plan_; }
  const text::Tokenizer* tokenizer() const override { return nullptr; }
  const text::ChatTemplate* chat_template() const override { return nullptr; }
  const std::string& fingerprint() const override { return fingerprint_; }
  tensor::DType expert_format() const override { return tensor::DType::kF32; }
  const engine::EngineStats& stats() const override { return stats_; }

  int64_t steps = 0, fail_at_step = 0, most_queued = 0;
  char fault_on = 0;  // requests whose prompt has this byte meet a fault of the machine

 private:
  struct Run {
    engine::Request request;
    std::vector<int32_t> made;
  };

  engine::RequestOutput output(const Run& run, engine::FinishReason reason) {
    engine::RequestOutput out;
    out.id = run.request.id;
    out.prompt_tokens = static_cast<int64_t>(run.request.prompt.size());
    for (int i = 0; i < run.request.sampling.n; ++i) {
      engine::Choice choice;
      choice.index = i;
      choice.tokens = run.made;
      for (const int32_t token : run.made) {
        choice.text += static_cast<char>(token);
        if (run.request.sampling.logprobs)
          choice.logprobs.push_back({token, -0.25F, {{token, -0.25F}}});
      }
      choice.finish = reason;
      out.completion_tokens += static_cast<int64_t>(run.made.size());
      out.choices.push_back(std::move(choice));
    }
    if (run.request.sampling.prompt_logprobs) {
      for (const int32_t token : run.request.prompt)
        out.prompt_logprobs.push_back(engine::TokenLogprob{token, -0.5F, {{token, -0.5F}}});
      out.prompt_logprobs.front().reset();
    }
    ++stats_.requests_finished;
    return out;
  }
  void drop(engine::RequestId id, engine::EventSink& sink) {
    for (auto it = running_.begin(); it != running_.end(); ++it) {
      if (it->request.id != id) continue;
      auto out = output(*it, engine::FinishReason::kCancelled);
      running_.erase(it);
      return sink.on_finished(std::move(out));
    }
    for (auto it = queue_.begin(); it != queue_.end(); ++it) {
      if (it->id != id) continue;
      auto out = output({*it, {}}, engine::FinishReason::kCancelled);
      queue_.erase(it);
      return sink.on_finished(std::move(out));
    }
  }

  int64_t max_queued_;
  std::deque<engine::Request> queue_;
  std::vector<Run> running_;
  std::vector<engine::RequestId> cancelled_;
  plan::Plan plan_;
  models::ModelConfig config_;
  engine::EngineStats stats_;
  std::string fingerprint_ = "fake";
};

}  // namespace sluice::batch
