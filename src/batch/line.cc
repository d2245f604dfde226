#include "batch/line.h"

#include <cstdio>

#include "batch/fields.h"

namespace sluice::batch {
namespace {

constexpr std::string_view kLineIdPrefix = "line-";

LineError line_error(const char* code, std::string message, std::string param = "") {
  return {400, code, std::move(message), std::move(param), false};
}

std::variant<BatchLine, LineError> read_body(const Json& body, bool is_chat, std::string custom_id,
                                             Fields& fields,
                                             const engine::SamplingParams& defaults) {
  BatchLine line;
  line.custom_id = std::move(custom_id);
  line.is_chat = is_chat;
  line.sampling = defaults;
  fields.string("model", 1024, line.model);
  if (is_chat) {
    read_messages(fields, line);
    if (body.contains("prompt")) fields.unsupported("prompt", "a chat takes 'messages'");
  } else {
    read_prompts(fields, line);
    if (body.contains("messages")) fields.unsupported("messages", "a completion takes 'prompt'");
  }
  read_sampling(fields, line);
  read_guide(fields, line);
  read_other(fields);
  fields.refuse_unknown();
  const bool generates = !line.has_max_tokens || line.sampling.max_tokens > 0;
  if (!generates && !line.echo)
    fields.wrong_value("max_tokens", "is 0, which only 'echo' gives a sense");
  if (!fields.ok()) return *fields.error();
  // Without new tokens the engine must be asked for something of the prompt.
  if (line.echo && (line.sampling.logprobs || !generates))
    line.sampling.prompt_logprobs = line.sampling.logprobs.value_or(0);
  return line;
}

// {"custom_id", "method", "url", "body"}.
std::variant<BatchLine, LineError> read_envelope(const Json& object, std::string custom_id,
                                                 const engine::SamplingParams& defaults) {
  for (const auto& [key, value] : object.items()) {
    if (key != "custom_id" && key != "method" && key != "url" && key != "body")
      return line_error(
          "unknown_parameter",
          "'" + key.substr(0, 60) + "' does not belong beside custom_id, method, url and body",
          key.substr(0, 60));
  }
  if (custom_id.empty())
    return line_error("missing_required_parameter", "'custom_id' is missing", "custom_id");
  const auto method = object.find("method");
  if (method == object.end() || *method != "POST")
    return line_error("invalid_method", "'method' must be \"POST\"", "method");
  const auto url = object.find("url");
  const bool is_chat = url != object.end() && *url == "/v1/chat/completions";
  if (!is_chat && (url == object.end() || *url != "/v1/completions")) {
    return line_error("invalid_url",
                      "'url' is " + (url == object.end() ? "missing" : shown(*url)) +
                          "; /v1/chat/completions and /v1/completions are answered",
                      "url");
  }
  const auto body = object.find("body");
  if (body == object.end() || !body->is_object())
    return line_error("missing_required_parameter", "'body' must be an object", "body");
  Fields fields(*body);
  return read_body(*body, is_chat, std::move(custom_id), fields, defaults);
}

std::variant<BatchLine, LineError> read_object(const Json& object, std::string custom_id,
                                               const engine::SamplingParams& defaults) {
  if (object.contains("body") || object.contains("url") || object.contains("method"))
    return read_envelope(object, std::move(custom_id), defaults);
  const bool is_chat = object.contains("messages");
  if (!is_chat && !object.contains("prompt")) {
    return line_error("missing_required_parameter",
                      "the line is neither a batch request (custom_id, method, url, body) nor an "
                      "object with 'prompt' or 'messages'");
  }
  Fields fields(object);
  fields.find("custom_id");
  return read_body(object, is_chat, std::move(custom_id), fields, defaults);
}

}  // namespace

ParsedLine parse_line(std::string_view text, const engine::SamplingParams& defaults) {
  ParsedLine parsed;
  base::JsonLimits limits;
  limits.depth = kMaxJsonDepth;
  Result<Json> json = base::parse_json(text, limits);
  if (!json) {
    parsed.outcome = line_error("invalid_json_line", json.error().message);
    return parsed;
  }
  if (!json->is_object()) {
    parsed.outcome = line_error("invalid_json_line", "the line is not a JSON object");
    return parsed;
  }
  const auto id = json->find("custom_id");
  if (id != json->end() && !id->is_null()) {
    const std::string* value = id->get_ptr<const std::string*>();
    if (value == nullptr) {
      parsed.outcome = line_error(
          "invalid_type", "'custom_id' is " + shown(*id) + "; a string is expected", "custom_id");
      return parsed;
    }
    if (value->empty() || value->size() > kMaxCustomIdBytes) {
      parsed.outcome =
          line_error("invalid_value",
                     "'custom_id' has " + std::to_string(value->size()) + " bytes; from 1 to " +
                         std::to_string(kMaxCustomIdBytes) + " are expected",
                     "custom_id");
      return parsed;
    }
    parsed.custom_id = *value;
  }
  parsed.outcome = read_object(*json, parsed.custom_id, defaults);
  return parsed;
}

std::string line_id(int64_t line_number) {
  char text[32];
  std::snprintf(text, sizeof text, "line-%06lld", static_cast<long long>(line_number));
  return text;
}

bool is_line_id(std::string_view custom_id) {
  if (custom_id.size() < kLineIdPrefix.size() + 6 || !custom_id.starts_with(kLineIdPrefix))
    return false;
  return custom_id.find_first_not_of("0123456789", kLineIdPrefix.size()) == std::string_view::npos;
}

}  // namespace sluice::batch
