#include <array>
#include <string_view>

#include "batch/fields.h"

namespace sluice::batch {
namespace {

constexpr std::array<std::string_view, 4> kRoles = {"system", "developer", "user", "assistant"};

std::string at(size_t index) { return "messages[" + std::to_string(index) + "]."; }

void check_parts(Fields& message, const Json& parts) {
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string key = "content[" + std::to_string(i) + "]";
    const Json& part = parts[i];
    if (!part.is_object()) return message.wrong_type(key, part, "an object with a 'type'");
    const auto type = part.find("type");
    if (type == part.end() || !type->is_string())
      return message.fail("missing_required_parameter", key + ".type", "is missing");
    if (*type != "text") {
      return message.unsupported(key + ".type",
                                 "it is " + shown(*type) + ", and only text parts are");
    }
    const auto text = part.find("text");
    if (text == part.end() || !text->is_string())
      return message.fail("missing_required_parameter", key + ".text", "must be a string");
    for (const auto& [name, value] : part.items()) {
      if (name != "type" && name != "text")
        return message.fail("unknown_parameter", key + "." + name.substr(0, 60),
                            "is not a field that sluice knows; remove it or correct it");
    }
  }
}

void check_content(Fields& message, const std::string& role) {
  const Json* content = message.find("content");
  if (content == nullptr)
    return message.fail("missing_required_parameter", "content",
                        "is missing; a message of the role " + role + " needs a text");
  if (content->is_string()) return;
  if (!content->is_array() || content->empty())
    return message.wrong_type("content", *content, "a string or a list of text parts");
  check_parts(message, *content);
}

std::optional<LineError> check_message(const Json& value, size_t index) {
  Fields message(value, at(index));
  std::string role, unused;
  if (!message.string("role", 64, role))
    message.fail("missing_required_parameter", "role", "is missing");
  bool known = false;
  for (const std::string_view name : kRoles) known = known || role == name;
  if (role == "tool" || role == "function") message.unsupported("role", "tools are not");
  if (!known)
    message.wrong_value(
        "role", "is " + shown(Json(role)) + "; system, developer, user or assistant is expected");
  check_content(message, role);
  message.string("name", kMaxCustomIdBytes, unused);
  message.string("reasoning_content", SIZE_MAX, unused);
  // An answer copied back into a conversation has these, empty.
  for (const char* key : {"tool_calls", "function_call", "refusal", "audio", "annotations"}) {
    const Json* extra = message.find(key);
    if (extra != nullptr && !(extra->is_array() && extra->empty()))
      message.unsupported(key, "messages of text are");
  }
  message.refuse_unknown();
  return message.error();
}

void read_ids(Fields& fields, const Json& list, std::vector<Prompt>& prompts) {
  std::vector<int32_t> ids;
  ids.reserve(list.size());
  for (const Json& id : list) {
    if (!id.is_number_integer() || id < 0 || id > INT32_MAX)
      return fields.wrong_type("prompt", id, "a token id");
    ids.push_back(id.get<int32_t>());
  }
  prompts.emplace_back(std::move(ids));
}

}  // namespace

void read_messages(Fields& fields, BatchLine& line) {
  line.add_special_tokens = false;
  const Json* messages = fields.find("messages");
  if (messages == nullptr)
    return fields.fail("missing_required_parameter", "messages", "is missing");
  if (!messages->is_array() || messages->empty())
    return fields.wrong_type("messages", *messages, "a list of messages, not empty,");
  if (messages->size() > kMaxMessages)
    return fields.wrong_value("messages", "has " + std::to_string(messages->size()) +
                                              " messages; the limit is " +
                                              std::to_string(kMaxMessages));
  for (size_t i = 0; i < messages->size() && fields.ok(); ++i) {
    if (!(*messages)[i].is_object())
      return fields.wrong_type("messages[" + std::to_string(i) + "]", (*messages)[i],
                               "an object with 'role' and 'content'");
    if (auto error = check_message((*messages)[i], i)) fields.adopt(std::move(*error));
  }
  line.messages = *messages;
  if (const Json* kwargs = fields.find("chat_template_kwargs")) {
    if (!kwargs->is_object())
      return fields.wrong_type("chat_template_kwargs", *kwargs, "an object");
    line.chat_template_kwargs = *kwargs;
  }
  fields.boolean("add_generation_prompt", line.add_generation_prompt);
  fields.boolean("add_special_tokens", line.add_special_tokens);
  bool continue_final = false;
  fields.boolean("continue_final_message", continue_final);
  if (continue_final)
    fields.unsupported("continue_final_message", "a completion can go on from any text");
  if (const Json* documents = fields.find("documents")) {
    if (!documents->is_array()) return fields.wrong_type("documents", *documents, "a list");
    line.documents = *documents;
  }
}

void read_prompts(Fields& fields, BatchLine& line) {
  const Json* prompt = fields.find("prompt");
  if (prompt == nullptr) return fields.fail("missing_required_parameter", "prompt", "is missing");
  if (prompt->is_string()) {
    line.prompts.emplace_back(prompt->get<std::string>());
  } else if (prompt->is_array() && !prompt->empty() && (*prompt)[0].is_number()) {
    read_ids(fields, *prompt, line.prompts);
  } else if (prompt->is_array() && !prompt->empty()) {
    if (prompt->size() > kMaxPrompts)
      return fields.wrong_value("prompt", "has " + std::to_string(prompt->size()) +
                                              " prompts; the limit is " +
                                              std::to_string(kMaxPrompts));
    for (const Json& one : *prompt) {
      if (one.is_string() && (*prompt)[0].is_string()) {
        line.prompts.emplace_back(one.get<std::string>());
      } else if (one.is_array() && (*prompt)[0].is_array()) {
        read_ids(fields, one, line.prompts);
      } else {
        return fields.wrong_type("prompt", one, "a list of strings, or of lists of token ids,");
      }
      if (!fields.ok()) return;
    }
  } else {
    return fields.wrong_type("prompt", *prompt,
                             "a string, a list of strings, token ids, or lists of token ids");
  }
  fields.boolean("echo", line.echo);
  fields.boolean("add_special_tokens", line.add_special_tokens);
  std::string suffix;
  if (fields.string("suffix", SIZE_MAX, suffix) && !suffix.empty())
    fields.unsupported("suffix", "leave it out");
}

}  // namespace sluice::batch
