#include "engine/gguf_vocabulary.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "weights/quote.h"

namespace sluice::engine {
namespace {

using weights::GgufType;
using weights::GgufValue;

constexpr std::string_view kTemplatePrefix = "tokenizer.chat_template.";

// Ends of a turn or of the text, as the families that sluice runs write them.
constexpr std::array<std::string_view, 9> kEndTexts{
    "</s>",       "<|endoftext|>", "<|end_of_text|>", "<|im_end|>", "<|eot_id|>",
    "<|eom_id|>", "<|end|>",       "<end_of_turn>",   "<EOT>"};

// Getters record the first error.
class Reader {
 public:
  explicit Reader(const weights::GgufMetadata& metadata) : metadata_(metadata) {}

  std::optional<std::string> text(const std::string& key) {
    const GgufValue* value = metadata_.find(key);
    if (value == nullptr) return std::nullopt;
    const auto text = value->text();
    if (!text) return refuse<std::string>(key, "a string");
    return std::string(*text);
  }

  std::optional<int32_t> id(const std::string& key) {
    const GgufValue* value = metadata_.find(key);
    if (value == nullptr) return std::nullopt;
    const auto whole = metadata_.whole(key);
    if (!whole || *whole < 0 || *whole > INT32_MAX) return refuse<int32_t>(key, "a token's id");
    return static_cast<int32_t>(*whole);
  }

  // Converters copy pad ids that no token has; as nothing is padded here, such a one counts as
  // absent.
  std::optional<int32_t> id_if_any(const std::string& key) {
    const auto whole = metadata_.whole(key);
    if (!whole || *whole < 0 || *whole > INT32_MAX) return std::nullopt;
    return static_cast<int32_t>(*whole);
  }

  std::optional<bool> flag(const std::string& key) {
    const GgufValue* value = metadata_.find(key);
    if (value == nullptr) return std::nullopt;
    if (value->is_array || !value->flag()) return refuse<bool>(key, "true or false");
    return value->flag();
  }

  std::vector<std::string_view> texts(const std::string& key) {
    const GgufValue* value = list(key, GgufType::kString, "a list of strings");
    return value == nullptr ? std::vector<std::string_view>{} : value->texts();
  }

  std::vector<int32_t> wholes(const std::string& key) {
    const GgufValue* value = metadata_.find(key);
    std::vector<int32_t> numbers;
    if (value == nullptr) return numbers;
    if (!value->is_array || !value->is_whole()) refuse<int32_t>(key, "a list of whole numbers");
    for (int64_t i = 0; !error_ && i < value->count; ++i) {
      const auto number = value->whole(i);
      if (!number || !std::in_range<int32_t>(*number)) refuse<int32_t>(key, "a list of small ones");
      numbers.push_back(static_cast<int32_t>(number.value_or(0)));
    }
    return numbers;
  }

  std::vector<float> reals(const std::string& key) {
    const GgufValue* value = list(key, GgufType::kFloat32, "a list of real numbers");
    std::vector<float> numbers;
    for (int64_t i = 0; value != nullptr && i < value->count; ++i)
      numbers.push_back(static_cast<float>(*value->real(i)));
    return numbers;
  }

  Status status() const { return error_ ? Status(*error_) : Status(); }

 private:
  template <class T>
  std::optional<T> refuse(const std::string& key, const char* wanted) {
    if (!error_) error_ = Error{ErrorCode::kInvalid, weights::quote(key) + " is not " + wanted};
    return std::nullopt;
  }
  const GgufValue* list(const std::string& key, GgufType type, const char* wanted) {
    const GgufValue* value = metadata_.find(key);
    if (value == nullptr || (value->is_array && (value->type == type || value->count == 0)))
      return value;
    refuse<bool>(key, wanted);
    return nullptr;
  }

  const weights::GgufMetadata& metadata_;
  std::optional<Error> error_;
};

}  // namespace

Result<text::GgufVocabulary> read_gguf_vocabulary(const weights::GgufMetadata& metadata) {
  Reader reader(metadata);
  const auto key = [](const char* name) { return std::string("tokenizer.ggml.") + name; };
  text::GgufVocabulary vocabulary;
  vocabulary.model = reader.text(key("model")).value_or("");
  vocabulary.pre = reader.text(key("pre")).value_or("");
  vocabulary.tokens = reader.texts(key("tokens"));
  vocabulary.token_types = reader.wholes(key("token_type"));
  vocabulary.scores = reader.reals(key("scores"));
  vocabulary.merges = reader.texts(key("merges"));
  vocabulary.bos = reader.id(key("bos_token_id"));
  vocabulary.eos = reader.id(key("eos_token_id"));
  vocabulary.eot = reader.id(key("eot_token_id"));
  vocabulary.eom = reader.id(key("eom_token_id"));
  vocabulary.unk = reader.id(key("unknown_token_id"));
  vocabulary.pad = reader.id_if_any(key("padding_token_id"));
  vocabulary.add_bos = reader.flag(key("add_bos_token"));
  vocabulary.add_eos = reader.flag(key("add_eos_token"));
  vocabulary.add_space_prefix = reader.flag(key("add_space_prefix"));
  vocabulary.remove_extra_whitespaces = reader.flag(key("remove_extra_whitespaces"));
  vocabulary.chat_template = reader.text("tokenizer.chat_template");
  for (const std::string_view name : reader.texts("tokenizer.chat_templates")) {
    auto source = reader.text(std::string(kTemplatePrefix).append(name));
    if (source) vocabulary.named_chat_templates.emplace(name, std::move(*source));
  }
  SLUICE_TRY(reader.status());
  return vocabulary;
}

bool has_vocabulary(const text::GgufVocabulary& vocabulary) {
  return !vocabulary.model.empty() && vocabulary.model != "none" && vocabulary.model != "no_vocab";
}

std::vector<int32_t> end_tokens(const text::GgufVocabulary& vocabulary) {
  std::vector<int32_t> ends;
  const auto add = [&](std::optional<int32_t> id) {
    if (id && std::ranges::find(ends, *id) == ends.end()) ends.push_back(*id);
  };
  add(vocabulary.eos);
  add(vocabulary.eot);
  add(vocabulary.eom);
  const size_t typed = std::min(vocabulary.tokens.size(), vocabulary.token_types.size());
  for (size_t id = 0; id < typed; ++id) {
    if (vocabulary.token_types[id] != static_cast<int32_t>(text::GgufTokenType::kControl)) continue;
    if (std::ranges::find(kEndTexts, vocabulary.tokens[id]) != kEndTexts.end())
      add(static_cast<int32_t>(id));
  }
  return ends;
}

}  // namespace sluice::engine
