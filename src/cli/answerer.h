// One answer at a time from an engine, streamed as it is made.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/engine.h"

namespace sluice::cli {

struct Answer {
  std::string text;
  engine::FinishReason finish = engine::FinishReason::kStop;
  int64_t prompt_tokens = 0, cached_prompt_tokens = 0, completion_tokens = 0;
  double seconds = 0, first_token_seconds = 0;
};

class Answerer {
 public:
  explicit Answerer(engine::Engine& engine) : engine_(engine) {}

  // `on_text` gets each new piece. A request to stop (`interrupts` not 0) ends the answer there,
  // with FinishReason::kCancelled. max_tokens 0: as many as the context holds.
  Result<Answer> answer(std::vector<int32_t> prompt, engine::SamplingParams sampling,
                        const std::function<void(const std::string&)>& on_text,
                        const std::atomic<int>& interrupts);

 private:
  engine::Engine& engine_;
  engine::RequestId next_id_ = 1;
};

}  // namespace sluice::cli
