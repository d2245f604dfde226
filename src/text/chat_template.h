// Chat templates, rendered as transformers' apply_chat_template renders them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "text/gguf_vocabulary.h"

struct sluice_text_template;

namespace sluice::text {

struct ChatTemplateLimits {
  size_t template_bytes = size_t{1} << 20;  // of the template's source
  size_t input_bytes = size_t{64} << 20;    // of messages, tools, documents and variables together
  size_t output_bytes = size_t{16} << 20;   // of the rendered prompt
  uint64_t fuel = 4'000'000;                // one per instruction and per 64 bytes that it makes
  uint64_t wall_ms = 5'000;                 // of one rendering
};

struct ChatOptions {
  bool add_generation_prompt = true;
  std::string tools_json;      // a JSON list, or empty
  std::string documents_json;  // a JSON list, or empty
  std::string kwargs_json;     // a JSON object (chat_template_kwargs), or empty
  // What strftime_now tells, in seconds since 1970 on the local clock. Absent: now.
  std::optional<int64_t> local_time_s;
};

// Immutable once read; copies share it, and threads may use it at the same time.
//
// Jinja is minijinja's, set up as transformers sets up Jinja2: trim_blocks, lstrip_blocks, loop
// controls, raise_exception, strftime_now, tojson with its options, Python's string and dict
// methods, and
// {% generation %} blocks (their text is rendered, their spans are not kept). include, import and
// extends have nothing to load and are errors.
//
// `content` may be a string or a list of parts ({"type": "text", "text": ...}). A template that
// walks parts gets lists as they are; any other gets the texts joined by newlines, and a part that
// is no text is kUnsupported. A template that knows only parts gets a string as one part. Which
// kind a template is, is found when it is read, by rendering a probe both ways: parts are
// understood when one text part renders as that text does.
class ChatTemplate {
 public:
  // special_tokens_json: a JSON object of bos_token, eos_token and the like, or empty.
  static Result<ChatTemplate> from_source(std::string_view jinja,
                                          std::string_view special_tokens_json,
                                          ChatTemplateLimits limits = {});
  // tokenizer_config.json, whose chat_template is a string or a list of {name, template}; `jinja`,
  // the text of chat_template.jinja, stands in for it where there is one. kNotFound: neither has a
  // template.
  static Result<ChatTemplate> from_config(std::string_view tokenizer_config_json,
                                          std::optional<std::string_view> jinja,
                                          ChatTemplateLimits limits = {});
  // A model directory: chat_template.jinja and additional_chat_templates/*.jinja,
  // tokenizer_config.json, special_tokens_map.json where tokenizer_config.json names no tokens.
  static Result<ChatTemplate> from_directory(const std::string& path,
                                             ChatTemplateLimits limits = {});
  // A GGUF file's templates, with the tokens of its bos, eos, unk and pad ids as bos_token and so
  // on. kNotFound: it has no template.
  static Result<ChatTemplate> from_gguf(const GgufVocabulary& vocabulary,
                                        ChatTemplateLimits limits = {});

  // messages_json: a JSON list of objects with role and content. Of several named templates,
  // tool_use is taken when there are tools, else default. Errors: kInvalid (JSON, the template's
  // own refusal with its sentence, a limit met, named), kTimeout, kUnsupported.
  Result<std::string> render(std::string_view messages_json, const ChatOptions& options) const;

  // Whether the default template walks content parts itself.
  bool takes_parts() const;

 private:
  ChatTemplate() = default;
  Status add(const std::string& name, std::string_view source);
  Result<const sluice_text_template*> choose(bool with_tools) const;

  ChatTemplateLimits limits_;
  std::string special_tokens_json_;
  std::map<std::string, std::shared_ptr<sluice_text_template>> templates_;
};

}  // namespace sluice::text
