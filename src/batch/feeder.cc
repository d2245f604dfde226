#include "batch/feeder.h"

#include <algorithm>
#include <bit>

#include "batch/answer.h"

namespace sluice::batch {
namespace {

// Prompts within a quarter of an octave are of like length.
int length_class(int64_t tokens) {
  const auto value = static_cast<uint64_t>(std::max<int64_t>(tokens, 4));
  const auto octave = static_cast<int>(std::bit_width(value)) - 1;
  return octave * 4 + static_cast<int>((value >> (octave - 2)) & 3);
}

// Long ones first, so that the end of a window is not one long request alone; equals by their
// tokens, so that prompts with the same beginning meet in the engine.
bool goes_before(const ReadyLine& a, const ReadyLine& b) {
  const int class_a = length_class(a.prompt_tokens()), class_b = length_class(b.prompt_tokens());
  if (class_a != class_b) return class_a > class_b;
  if (a.prompts != b.prompts) return a.prompts < b.prompts;
  return a.number < b.number;
}

}  // namespace

int64_t ReadyLine::prompt_tokens() const {
  int64_t tokens = 0;
  for (const auto& prompt : prompts) tokens += static_cast<int64_t>(prompt.size());
  return tokens;
}

Feeder::Feeder(const Input& input, IdIndex& index, const ModelText& text, FeederOptions options)
    : reader_(input.file, input.first_offset),
      index_(index),
      text_(text),
      options_(std::move(options)) {}

Result<Window> Feeder::next() {
  Window window;
  window_tokens_ = 0;
  while (static_cast<int64_t>(window.ready.size() + window.bad.size()) < options_.window_lines &&
         window_tokens_ < options_.window_tokens) {
    if (options_.stop_requested != nullptr && *options_.stop_requested != 0) break;
    SLUICE_ASSIGN(const std::optional<Line> line, reader_.next());
    window.at_end = !line.has_value();
    if (window.at_end) break;
    SLUICE_TRY(take(*line, window));
  }
  std::sort(window.ready.begin(), window.ready.end(), goes_before);
  return window;
}

Status Feeder::take(const Line& line, Window& window) {
  if (!line.too_long && line.text.find_first_not_of(" \t\r") == std::string_view::npos) return {};
  ParsedLine parsed;
  if (line.too_long) {
    parsed.outcome = LineError{
        400, "line_too_long",
        "the line has more than " + std::to_string(kMaxLineBytes) + " bytes, which is the limit",
        "", false};
  } else {
    parsed = parse_line(line.text, options_.sampling);
  }
  std::string custom_id;
  SLUICE_ASSIGN(const bool is_new, identify(line, parsed, custom_id, window));
  if (!is_new) return {};
  LineError error;
  if (parsed.error() != nullptr) {
    error = *parsed.error();
  } else {
    const std::string model = parsed.line()->model;
    if (!model.empty() && model != options_.model_name) ++window.other_models;
    if (auto ready = prepare(std::move(*parsed.line()), line.number, custom_id, error)) {
      window_tokens_ += ready->prompt_tokens();
      window.ready.push_back(std::move(*ready));
      return {};
    }
  }
  window.bad.push_back({line.number, custom_id, std::move(error)});
  return {};
}

Result<bool> Feeder::identify(const Line& line, ParsedLine& parsed, std::string& custom_id,
                              Window& window) {
  const std::string substitute = line_id(line.number);
  custom_id = parsed.custom_id;
  if (is_line_id(custom_id) && custom_id != substitute) {
    parsed.outcome = LineError{400, "reserved_custom_id",
                               "the custom_id '" + custom_id +
                                   "' has the form kept for lines without one; name it otherwise",
                               "custom_id", false};
    custom_id = substitute;
  }
  if (!custom_id.empty() && custom_id != substitute) {
    int64_t first_offset = 0;
    SLUICE_ASSIGN(const IdIndex::Found found,
                  index_.add_line(custom_id, line.offset, first_offset));
    window.passed_over += found == IdIndex::Found::kAnswered ? 1 : 0;
    if (found != IdIndex::Found::kRepeated) return found == IdIndex::Found::kNew;
    parsed.outcome =
        LineError{400, "duplicate_custom_id",
                  "the custom_id '" + custom_id + "' is that of an earlier line (at byte " +
                      std::to_string(first_offset) + " of the input)",
                  "custom_id", false};
  }
  custom_id = substitute;
  SLUICE_ASSIGN(const bool answered, index_.is_answered(custom_id));
  window.passed_over += answered ? 1 : 0;
  return !answered;
}

Result<ReadyLine> Feeder::prepare(BatchLine line, int64_t number, const std::string& custom_id,
                                  LineError& error) const {
  const auto refuse = [&](LineError why) {
    error = std::move(why);
    return Error{ErrorCode::kInvalid, ""};
  };
  if (!options_.any_model_name && !line.model.empty() && line.model != options_.model_name) {
    return refuse(
        {404, "model_not_found",
         "'model' is '" + line.model + "'; this run answers for '" + options_.model_name + "'",
         "model", true});
  }
  ReadyLine ready;
  ready.number = number;
  ready.custom_id = custom_id;
  if (line.is_chat) {
    auto ids = text_.render(line);
    if (!ids) return refuse(request_error(ids.error(), "messages"));
    ready.prompts.push_back(std::move(*ids));
  }
  for (Prompt& prompt : line.prompts) {
    if (auto* given = std::get_if<std::vector<int32_t>>(&prompt)) {
      ready.prompts.push_back(std::move(*given));
      continue;
    }
    auto ids = text_.encode(std::get<std::string>(prompt), line.add_special_tokens);
    if (!ids) return refuse(request_error(ids.error(), "prompt"));
    ready.prompts.push_back(std::move(*ids));
  }
  for (const auto& ids : ready.prompts) {
    const char* param = line.is_chat ? "messages" : "prompt";
    if (ids.empty()) return refuse({400, "invalid_value", "the prompt has no tokens", param, true});
    const auto prompt_tokens = static_cast<int64_t>(ids.size());
    const int64_t room = options_.max_seq_len - prompt_tokens;
    const int64_t wanted = line.has_max_tokens ? line.sampling.max_tokens
                                               : std::min(options_.default_max_tokens, room);
    if (wanted > room || room < 0 || (wanted < 1 && !line.has_max_tokens)) {
      return refuse({400, "context_length_exceeded",
                     "the prompt has " + std::to_string(prompt_tokens) + " tokens" +
                         (line.has_max_tokens ? " and max_tokens is " + std::to_string(wanted)
                                              : std::string()) +
                         "; prompt and answer together may have " +
                         std::to_string(options_.max_seq_len),
                     param, true});
    }
    if (line.sampling.min_tokens > wanted) {
      return refuse({400, "invalid_value",
                     "'min_tokens' is " + std::to_string(line.sampling.min_tokens) +
                         ", more than the " + std::to_string(wanted) + " there may be",
                     "min_tokens", true});
    }
    ready.max_tokens.push_back(wanted);
  }
  line.messages = Json();
  ready.line = std::move(line);
  return ready;
}

}  // namespace sluice::batch
