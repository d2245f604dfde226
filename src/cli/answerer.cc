#include "cli/answerer.h"

#include <optional>

namespace sluice::cli {

Result<Answer> Answerer::answer(std::vector<int32_t> prompt, engine::SamplingParams sampling,
                                const std::function<void(const std::string&)>& on_text,
                                const std::atomic<int>& interrupts) {
  const auto tokens = static_cast<int64_t>(prompt.size());
  const int64_t room = engine_.plan().max_seq_len - tokens;
  if (room < 1) {
    return Error{ErrorCode::kInvalid,
                 "the conversation has " + std::to_string(tokens) + " tokens, and " +
                     std::to_string(engine_.plan().max_seq_len) +
                     " is all there is room for; begin anew, or raise --max-seq-len"};
  }
  if (sampling.max_tokens == 0) sampling.max_tokens = room;
  engine::Request request;
  request.id = next_id_++;
  request.prompt = std::move(prompt);
  request.sampling = std::move(sampling);
  const engine::RequestId id = request.id;
  SLUICE_TRY(engine_.check(request));
  SLUICE_TRY(engine_.submit(std::move(request)));
  Answer answer;
  std::optional<Error> error;
  engine::EventSink sink;
  sink.on_token = [&](engine::RequestId, int, const std::string& text, int32_t) { on_text(text); };
  sink.on_finished = [&](engine::RequestOutput&& output) {
    error = std::move(output.error);
    if (error || output.choices.empty()) return;
    answer.text = std::move(output.choices.front().text);
    answer.finish = output.choices.front().finish;
    answer.prompt_tokens = output.prompt_tokens;
    answer.cached_prompt_tokens = output.cached_prompt_tokens;
    answer.completion_tokens = output.completion_tokens;
    answer.seconds = output.total_seconds;
    answer.first_token_seconds = output.first_token_seconds;
  };
  bool cancelled = false;
  while (!engine_.idle()) {
    if (interrupts != 0 && !cancelled) {
      engine_.cancel(id);
      cancelled = true;
    }
    SLUICE_TRY(engine_.step(sink));
  }
  if (error) return *error;
  return answer;
}

}  // namespace sluice::cli
