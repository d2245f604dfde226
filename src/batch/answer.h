// A finished request as one line of the output: OpenAI's batch output format around a
// chat.completion or text_completion object. Ids follow from the custom_id alone, so that a line
// answered again is the same line but for `created` and the count of cached tokens.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "batch/line.h"
#include "batch/model_text.h"
#include "engine/request.h"

namespace sluice::batch {

// A longer answer is an error line: what is written must be readable again.
inline constexpr size_t kMaxAnswerBytes = size_t{256} << 20;

struct AnswerContext {
  const ModelText& text;
  std::string model;               // what `model` says in every body
  std::string system_fingerprint;  // of the weights and config
};

// One output per prompt of `line`, in their order, none with an error. `custom_id` is the line's,
// or the id that stands for it. `prompts` are the ids that were submitted. Without a newline.
std::string answer_line(const BatchLine& line, const std::string& custom_id,
                        const std::vector<std::vector<int32_t>>& prompts,
                        const std::vector<engine::RequestOutput>& outputs, int64_t created_unix_s,
                        const AnswerContext& context);

std::string error_line(const std::string& custom_id, int64_t line_number, const LineError& error);

// What the engine or the text side says of a line, as the line's error.
LineError request_error(const Error& error, const std::string& param = "");

// Whose answer an output line is.
struct AnswerHead {
  std::string custom_id;
  bool failed = false;
  bool fault = false;  // failed, and not by a mistake in the line: server_error
};
// Nothing: it is not a line that this program wrote, or not all of one.
std::optional<AnswerHead> read_answer_head(std::string_view line);

}  // namespace sluice::batch
