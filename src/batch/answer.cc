#include "batch/answer.h"

#include "batch/hash.h"
#include "batch/logprobs.h"

namespace sluice::batch {
namespace {

using engine::Choice;
using engine::RequestOutput;

const char* finish_name(engine::FinishReason reason) {
  return reason == engine::FinishReason::kLength ? "length" : "stop";
}

std::string id_with(const char* prefix, const std::string& custom_id) {
  return prefix + hex(hash_bytes(custom_id, 2));
}

Json usage(const std::vector<RequestOutput>& outputs) {
  int64_t prompt = 0, cached = 0, completion = 0;
  for (const RequestOutput& output : outputs) {
    prompt += output.prompt_tokens;
    cached += output.cached_prompt_tokens;
    completion += output.completion_tokens;
  }
  return {{"prompt_tokens", prompt},
          {"completion_tokens", completion},
          {"total_tokens", prompt + completion},
          {"prompt_tokens_details", {{"cached_tokens", cached}}}};
}

void add_finish(Json& json, const Choice& choice) {
  json["finish_reason"] = finish_name(choice.finish);
  if (choice.stop_reason) json["stop_reason"] = *choice.stop_reason;
}

Json chat_choice(const BatchLine& line, const Choice& choice, const AnswerContext& context) {
  Json json = {{"index", choice.index},
               {"message", {{"role", "assistant"}, {"content", choice.text}, {"refusal", nullptr}}},
               {"logprobs", nullptr}};
  if (line.sampling.logprobs) json["logprobs"] = chat_logprobs(choice, context.text);
  add_finish(json, choice);
  if (line.return_token_ids) json["token_ids"] = choice.tokens;
  return json;
}

std::string prompt_text(const BatchLine& line, size_t index, const std::vector<int32_t>& ids,
                        const ModelText& text) {
  if (const auto* given = std::get_if<std::string>(&line.prompts[index])) return *given;
  Result<std::string> decoded = text.decode(ids, line.sampling.skip_special_tokens);
  return decoded ? *decoded : std::string();
}

Json completion_choice(const BatchLine& line, size_t prompt_index, const std::vector<int32_t>& ids,
                       const RequestOutput& output, const Choice& choice,
                       const AnswerContext& context) {
  const auto index = static_cast<int64_t>(prompt_index) * line.sampling.n + choice.index;
  const std::string before = line.echo ? prompt_text(line, prompt_index, ids, context.text) : "";
  Json json = {{"index", index}, {"text", before + choice.text}, {"logprobs", nullptr}};
  if (line.sampling.logprobs) {
    CompletionLogprobs logprobs(context.text);
    if (line.echo) logprobs.add_prompt(ids, output.prompt_logprobs);
    logprobs.add(choice.logprobs);
    json["logprobs"] = logprobs.json();
  }
  add_finish(json, choice);
  if (line.return_token_ids) {
    json["prompt_token_ids"] = ids;
    json["token_ids"] = choice.tokens;
  }
  return json;
}

}  // namespace

std::string answer_line(const BatchLine& line, const std::string& custom_id,
                        const std::vector<std::vector<int32_t>>& prompts,
                        const std::vector<RequestOutput>& outputs, int64_t created_unix_s,
                        const AnswerContext& context) {
  Json choices = Json::array();
  for (size_t i = 0; i < outputs.size(); ++i) {
    for (const Choice& choice : outputs[i].choices) {
      choices.push_back(line.is_chat
                            ? chat_choice(line, choice, context)
                            : completion_choice(line, i, prompts[i], outputs[i], choice, context));
    }
  }
  Json body = {{"id", id_with(line.is_chat ? "chatcmpl-" : "cmpl-", custom_id)},
               {"object", line.is_chat ? "chat.completion" : "text_completion"},
               {"created", created_unix_s},
               {"model", context.model},
               {"system_fingerprint", context.system_fingerprint},
               {"choices", std::move(choices)},
               {"usage", usage(outputs)}};
  if (line.return_token_ids && line.is_chat) body["prompt_token_ids"] = prompts.front();
  const Json json = {{"id", id_with("batch_req_", custom_id)},
                     {"custom_id", custom_id},
                     {"response",
                      {{"status_code", 200},
                       {"request_id", id_with("req_", custom_id)},
                       {"body", std::move(body)}}},
                     {"error", nullptr}};
  return base::to_line(json);
}

std::string error_line(const std::string& custom_id, int64_t line_number, const LineError& error) {
  const std::string message = "line " + std::to_string(line_number) + ": " + error.message;
  const Json param = error.param.empty() ? Json(nullptr) : Json(error.param);
  Json response = nullptr;
  if (error.in_body) {
    const char* type = error.status_code >= 500 ? "server_error" : "invalid_request_error";
    response = {
        {"status_code", error.status_code},
        {"request_id", id_with("req_", custom_id)},
        {"body",
         {{"error",
           {{"message", message}, {"type", type}, {"param", param}, {"code", error.code}}}}}};
  }
  const Json json = {
      {"id", id_with("batch_req_", custom_id)},
      {"custom_id", custom_id},
      {"response", std::move(response)},
      {"error",
       {{"code", error.code}, {"message", message}, {"param", param}, {"line", line_number}}}};
  return base::to_line(json);
}

LineError request_error(const Error& error, const std::string& param) {
  LineError out{400, "", error.message, param, true};
  switch (error.code) {
    case ErrorCode::kInvalid:
    case ErrorCode::kNotFound:
    case ErrorCode::kCorrupt:
      out.code = "invalid_value";
      break;
    case ErrorCode::kUnsupported:
      out.code = "unsupported_parameter";
      break;
    case ErrorCode::kNoRoom:
      out.code = "context_length_exceeded";
      break;
    case ErrorCode::kTimeout:
      out.code = "limit_exceeded";
      break;
    case ErrorCode::kIo:
    case ErrorCode::kCancelled:
    case ErrorCode::kFault:
      out.code = "server_error";
      out.status_code = 500;
      break;
  }
  return out;
}

std::optional<AnswerHead> read_answer_head(std::string_view line) {
  // Lines written here begin so; parsing ten million whole answers to find their ids would take
  // as long as writing them.
  constexpr std::string_view kBefore = R"({"id":"batch_req_)";
  constexpr std::string_view kBetween = R"(","custom_id":")";
  const size_t id_at = kBefore.size() + 16 + kBetween.size();
  if (line.size() <= id_at || !line.starts_with(kBefore) || !line.ends_with("}") ||
      line.substr(kBefore.size() + 16, kBetween.size()) != kBetween)
    return std::nullopt;
  size_t end = id_at;
  while (end < line.size() && line[end] != '"') end += line[end] == '\\' ? 2 : 1;
  if (end >= line.size()) return std::nullopt;
  const Result<Json> id = base::parse_json(line.substr(id_at - 1, end + 2 - id_at));
  if (!id || !id->is_string()) return std::nullopt;
  const std::string_view rest = line.substr(end);
  AnswerHead head;
  head.custom_id = id->get<std::string>();
  if (rest.starts_with(R"(","response":{"status_code":)")) {
    head.failed = !rest.starts_with(R"(","response":{"status_code":200,)");
    head.fault = rest.starts_with(R"(","response":{"status_code":5)");
    return head;
  }
  if (!rest.starts_with(R"(","response":null,)")) return std::nullopt;
  head.failed = true;
  return head;
}

}  // namespace sluice::batch
