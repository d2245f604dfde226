// One line of a batch's input, understood: what it asks for, or why it cannot be answered. The
// fields and their ranges are those of the OpenAI API and of vLLM; docs/batch_format.md lists what
// becomes of each. Nothing is dropped in silence: a field is honoured, is known to change no
// answer, or is refused by name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "engine/request.h"

namespace sluice::batch {

inline constexpr int kMaxJsonDepth = 64;
inline constexpr size_t kMaxCustomIdBytes = 512;
inline constexpr size_t kMaxMessages = 4096;
inline constexpr size_t kMaxPrompts = 1024;  // of one completion body
inline constexpr int kMaxChoices = 128;      // `n`
inline constexpr size_t kMaxStops = 16;
inline constexpr size_t kMaxStopBytes = 1024;  // of one stop string
inline constexpr size_t kMaxStopTokenIds = 256;
inline constexpr size_t kMaxLogitBias = 1024;
inline constexpr int kMaxLogprobs = 20;
inline constexpr size_t kMaxGuideBytes = size_t{1} << 20;  // of a schema, a regex or all choices
inline constexpr size_t kMaxGuideChoices = 4096;
inline constexpr int64_t kMaxTokensAsked = int64_t{1} << 30;

// Why a line gets an error line: OpenAI's error body, in parts.
struct LineError {
  int status_code = 400;
  std::string code;     // "invalid_value": stable, for programs
  std::string message;  // one sentence for people
  std::string param;    // the field, or empty
  bool in_body = true;  // false: the line itself, before there was a request to answer
  bool operator==(const LineError&) const = default;
};

using Prompt = std::variant<std::string, std::vector<int32_t>>;

struct BatchLine {
  std::string custom_id;  // empty: the line has none
  bool is_chat = true;    // a chat.completion, else a text_completion
  std::string model;      // as the body names it; may be empty

  // Chat. `messages` is checked: roles, and contents that are strings or lists of text parts.
  Json messages;
  Json chat_template_kwargs = Json::object();
  Json documents;  // a list, or null
  bool add_generation_prompt = true;

  // Completions.
  std::vector<Prompt> prompts;
  bool echo = false;

  bool add_special_tokens = true;  // by default true for completions, false for chats
  bool has_max_tokens = false;     // else sampling.max_tokens is not set
  bool return_token_ids = false;
  engine::SamplingParams sampling;
  engine::GuideSpec guide;
};

// A line that can be answered, or the error; either way the custom_id if one could be read.
struct ParsedLine {
  std::string custom_id;
  std::variant<BatchLine, LineError> outcome;

  const BatchLine* line() const { return std::get_if<BatchLine>(&outcome); }
  BatchLine* line() { return std::get_if<BatchLine>(&outcome); }
  const LineError* error() const { return std::get_if<LineError>(&outcome); }
};

// `text` is one line without its newline. `defaults` fill what the body leaves out.
ParsedLine parse_line(std::string_view text, const engine::SamplingParams& defaults);

// The id that stands for a line which has none of its own, or none that can be used:
// "line-000123", counted from 1.
std::string line_id(int64_t line_number);
// Whether `custom_id` has that form, which is kept for such lines.
bool is_line_id(std::string_view custom_id);

}  // namespace sluice::batch
