// One choice of one request while it is being generated: what has been sampled, the text so far,
// and whether it has ended. Touched by one thread at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/disk_pages.h"
#include "engine/done_before.h"
#include "engine/request.h"
#include "engine/sampler.h"
#include "engine/stop_strings.h"
#include "text/detokenizer.h"
#include "text/guide.h"

namespace sluice::engine {

// What all choices of a request share.
struct RequestRun {
  Request request;
  uint64_t seed = 0;  // of choice 0; choice i uses another
  StopStrings stop_strings;
  std::vector<int32_t> enders;  // tokens that end a choice: EOS unless ignored, stop_token_ids
  std::vector<std::optional<TokenLogprob>> prompt_logprobs;
  std::vector<uint32_t> expert_tokens;  // [layers * experts], if asked for
  std::vector<Choice> results;          // by index, as they end
  int choices_left = 0;
  std::optional<Error> error;
  int64_t cached_prompt_tokens = 0;
  int64_t completion_tokens = 0;
  double submitted_s = 0, started_s = -1, first_token_s = -1;
};

class ChoiceRun {
 public:
  ChoiceRun(RequestRun& request, int index, int64_t token_limit, const text::Tokenizer* tokenizer,
            std::optional<text::Guide> guide, size_t mask_words);

  // Chooses the next token from its row of logits (which it changes) and appends it. Afterwards
  // take_pending() gives the text to show. Sets error() if the guide met a limit.
  void step(std::span<float> logits, Sampler& sampler, std::vector<float>& raw);

  RequestRun& request() { return *request_; }
  int index() const { return index_; }
  int32_t last_token() const { return last_token_; }
  bool ended() const { return ended_; }
  const std::optional<Error>& error() const { return error_; }

  void end(FinishReason reason);  // from outside: cancelled, or nothing to generate
  std::string take_pending();     // text to show since the last call
  Choice take_result();

  bool sampled = false;  // in this iteration; the engine resets it
  int in_flight = 0;     // iterations formed and not completed
  // Iterations that failed one after the other for want of the same page that it needs.
  int attempts = 0;
  DiskPage wanted_page;
  DoneBefore done_before;

 private:
  std::span<const int32_t> forbidden() const;
  void append(int32_t token, std::optional<TokenLogprob> logprob);
  bool stop_at_string(size_t scanned);

  RequestRun* request_;
  int index_;
  int64_t token_limit_;  // of sampled tokens: max_tokens, or what max_seq_len leaves
  std::optional<text::Detokenizer> detokenizer_;
  std::optional<text::Guide> guide_;
  std::vector<uint32_t> mask_;
  std::vector<int32_t> context_;  // all sampled tokens, the ending one included
  Choice result_;
  size_t shown_ = 0;  // bytes of result_.text given out
  int32_t last_token_ = 0;
  bool ended_ = false;
  std::optional<Error> error_;
};

}  // namespace sluice::engine
