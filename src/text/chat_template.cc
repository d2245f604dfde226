#include "text/chat_template.h"

#include <ctime>
#include <filesystem>

#include "base/json.h"
#include "text/handle.h"

namespace sluice::text {
namespace {

constexpr const char* kSpecialTokens[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                          "pad_token", "cls_token", "mask_token"};
constexpr size_t kConfigBytes = size_t{64} << 20;

int64_t local_now_s() {
  const std::time_t now = std::time(nullptr);
  std::tm local = {};
  localtime_r(&now, &local);
  return static_cast<int64_t>(now) + local.tm_gmtoff;
}

// A special token is a string, or an object with its content.
void take_special_tokens(const Json& from, Json& tokens) {
  for (const char* name : kSpecialTokens) {
    if (tokens.contains(name) || !from.contains(name)) continue;
    const Json& token = from[name];
    if (token.is_string()) tokens[name] = token;
    if (token.is_object() && token.contains("content") && token["content"].is_string()) {
      tokens[name] = token["content"];
    }
  }
}

// The same as JSON, from the ids that a GGUF file names. Converters copy pad ids that no token has;
// as nothing is padded here, such a one is left out.
Result<std::string> special_tokens_of(const GgufVocabulary& vocabulary) {
  const std::pair<const char*, std::optional<int32_t>> named[] = {{"bos_token", vocabulary.bos},
                                                                  {"eos_token", vocabulary.eos},
                                                                  {"unk_token", vocabulary.unk},
                                                                  {"pad_token", vocabulary.pad}};
  const size_t count = vocabulary.tokens.size();
  Json tokens = Json::object();
  for (const auto& [name, id] : named) {
    if (!id) continue;
    if (*id >= 0 && static_cast<size_t>(*id) < count) {
      tokens[name] = vocabulary.tokens[static_cast<size_t>(*id)];
    } else if (std::string_view(name) != "pad_token") {
      return Error{ErrorCode::kInvalid, std::string(name) + " has id " + std::to_string(*id) +
                                            ", the vocabulary has " + std::to_string(count) +
                                            " tokens"};
    }
  }
  // A token that is not UTF-8 is refused where the tokenizer is made.
  return tokens.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// The file's text, or nothing where there is no such file.
Result<std::optional<std::string>> read_optional(const std::string& path, size_t limit_bytes,
                                                 const char* limit) {
  auto text = read_file(path, limit_bytes, limit);
  if (text) return std::optional<std::string>(std::move(*text));
  if (text.error().code == ErrorCode::kNotFound) return std::optional<std::string>();
  return text.error();
}

}  // namespace

Status ChatTemplate::add(const std::string& name, std::string_view source) {
  if (source.size() > limits_.template_bytes) {
    return over_limit("the chat template '" + name + "'", source.size(), limits_.template_bytes,
                      "template_bytes");
  }
  sluice_text_template* raw = nullptr;
  Reply reply;
  const sluice_text_template_limits limits = {limits_.fuel, limits_.output_bytes, limits_.wall_ms};
  const int32_t status = sluice_text_template_new(slice(source), limits, &raw, reply.out());
  if (status != SLUICE_TEXT_OK) return reply.error(status);
  templates_[name] = std::shared_ptr<sluice_text_template>(raw, sluice_text_template_free);
  return {};
}

Result<ChatTemplate> ChatTemplate::from_source(std::string_view jinja,
                                               std::string_view special_tokens_json,
                                               ChatTemplateLimits limits) {
  ChatTemplate made;
  made.limits_ = limits;
  made.special_tokens_json_ = special_tokens_json;
  SLUICE_TRY(made.add("default", jinja));
  return made;
}

Result<ChatTemplate> ChatTemplate::from_config(std::string_view tokenizer_config_json,
                                               std::optional<std::string_view> jinja,
                                               ChatTemplateLimits limits) {
  SLUICE_ASSIGN(const Json config, base::parse_json(tokenizer_config_json));
  if (!config.is_object()) {
    return Error{ErrorCode::kInvalid, "tokenizer_config.json is not an object"};
  }
  ChatTemplate made;
  made.limits_ = limits;
  Json tokens = Json::object();
  take_special_tokens(config, tokens);
  made.special_tokens_json_ = tokens.dump();
  if (jinja) {
    SLUICE_TRY(made.add("default", *jinja));
    return made;
  }
  const Json given = config.value("chat_template", Json());
  if (given.is_string()) {
    SLUICE_TRY(made.add("default", given.get_ref<const std::string&>()));
  } else if (given.is_array()) {
    for (const Json& named : given) {
      if (!named.is_object()) {
        return Error{ErrorCode::kInvalid,
                     "chat_template of tokenizer_config.json has an entry that is not an object"};
      }
      SLUICE_ASSIGN(const auto name, base::field<std::string>(named, "name", "chat_template"));
      SLUICE_ASSIGN(const auto source,
                    base::field<std::string>(named, "template", "chat_template"));
      SLUICE_TRY(made.add(name, source));
    }
  } else if (!given.is_null()) {
    return Error{ErrorCode::kInvalid,
                 "chat_template of tokenizer_config.json is neither a string nor a list"};
  }
  if (made.templates_.empty()) {
    return Error{ErrorCode::kNotFound,
                 "the model has no chat template; give prompts instead of messages"};
  }
  return made;
}

Result<ChatTemplate> ChatTemplate::from_directory(const std::string& path,
                                                  ChatTemplateLimits limits) {
  SLUICE_ASSIGN(auto config,
                read_optional(path + "/tokenizer_config.json", kConfigBytes, "config_bytes"));
  SLUICE_ASSIGN(auto jinja, read_optional(path + "/chat_template.jinja", limits.template_bytes,
                                          "template_bytes"));
  auto made = from_config(config.value_or("{}"), jinja, limits);
  if (!made) return made.error().in(path);

  std::error_code failed;
  for (const auto& entry :
       std::filesystem::directory_iterator(path + "/additional_chat_templates", failed)) {
    if (entry.path().extension() != ".jinja") continue;
    SLUICE_ASSIGN(const std::string source,
                  read_file(entry.path().string(), limits.template_bytes, "template_bytes"));
    if (auto added = made->add(entry.path().stem().string(), source); !added) {
      return added.error().in(entry.path().string());
    }
  }
  SLUICE_ASSIGN(const auto map,
                read_optional(path + "/special_tokens_map.json", kConfigBytes, "config_bytes"));
  if (map) {
    SLUICE_ASSIGN(const Json from, base::parse_json(*map));
    Json tokens = Json::parse(made->special_tokens_json_);
    if (from.is_object()) take_special_tokens(from, tokens);
    made->special_tokens_json_ = tokens.dump();
  }
  return made;
}

Result<ChatTemplate> ChatTemplate::from_gguf(const GgufVocabulary& vocabulary,
                                             ChatTemplateLimits limits) {
  ChatTemplate made;
  made.limits_ = limits;
  SLUICE_ASSIGN(made.special_tokens_json_, special_tokens_of(vocabulary));
  if (vocabulary.chat_template) SLUICE_TRY(made.add("default", *vocabulary.chat_template));
  for (const auto& [name, source] : vocabulary.named_chat_templates) {
    SLUICE_TRY(made.add(name, source));
  }
  if (made.templates_.empty()) {
    return Error{ErrorCode::kNotFound,
                 "the model has no chat template; give prompts instead of messages"};
  }
  return made;
}

Result<const sluice_text_template*> ChatTemplate::choose(bool with_tools) const {
  for (const char* name : {"tool_use", "default"}) {
    if (!with_tools && std::string_view(name) == "tool_use") continue;
    const auto found = templates_.find(name);
    if (found != templates_.end()) return found->second.get();
  }
  return Error{ErrorCode::kNotFound, "the model has named chat templates, none of them 'default'"};
}

Result<std::string> ChatTemplate::render(std::string_view messages_json,
                                         const ChatOptions& options) const {
  const size_t bytes = messages_json.size() + options.tools_json.size() +
                       options.documents_json.size() + options.kwargs_json.size();
  if (bytes > limits_.input_bytes) {
    return over_limit("the conversation", bytes, limits_.input_bytes, "input_bytes");
  }
  SLUICE_ASSIGN(const sluice_text_template* chosen, choose(!options.tools_json.empty()));
  sluice_text_render_input input = {};
  input.messages = slice(messages_json);
  input.tools = slice(options.tools_json);
  input.documents = slice(options.documents_json);
  input.special_tokens = slice(special_tokens_json_);
  input.variables = slice(options.kwargs_json);
  input.local_time_s = options.local_time_s ? *options.local_time_s : local_now_s();
  input.add_generation_prompt = options.add_generation_prompt;
  Reply reply;
  const int32_t status = sluice_text_template_render(chosen, input, reply.out());
  if (status != SLUICE_TEXT_OK) return reply.error(status);
  return reply.text();
}

bool ChatTemplate::takes_parts() const {
  const auto chosen = choose(false);
  return chosen.ok() && sluice_text_template_takes_parts(*chosen) != 0;
}

}  // namespace sluice::text
