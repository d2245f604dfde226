#include "batch/engine_text.h"

namespace sluice::batch {
namespace {

Error missing(const char* what, const char* instead) {
  return {ErrorCode::kUnsupported,
          std::string("the model's directory has no ") + what + "; " + instead};
}

}  // namespace

Result<std::vector<int32_t>> EngineText::render(const BatchLine& line) const {
  if (template_ == nullptr) return missing("chat template", "give a 'prompt'");
  text::ChatOptions options;
  options.add_generation_prompt = line.add_generation_prompt;
  if (!line.chat_template_kwargs.empty())
    options.kwargs_json = base::to_line(line.chat_template_kwargs);
  if (!line.documents.is_null()) options.documents_json = base::to_line(line.documents);
  options.local_time_s = local_time_s_;
  SLUICE_ASSIGN(const std::string text, template_->render(base::to_line(line.messages), options));
  return encode(text, line.add_special_tokens);
}

Result<std::vector<int32_t>> EngineText::encode(std::string_view text,
                                                bool add_special_tokens) const {
  if (tokenizer_ == nullptr) return missing("tokenizer.json", "give prompts as token ids");
  return tokenizer_->encode(text, add_special_tokens);
}

Result<std::string> EngineText::decode(std::span<const int32_t> ids,
                                       bool skip_special_tokens) const {
  if (tokenizer_ == nullptr) return missing("tokenizer.json", "give prompts as token ids");
  return tokenizer_->decode(ids, skip_special_tokens);
}

std::string EngineText::token_bytes(int32_t id) const {
  return tokenizer_ == nullptr ? std::string() : tokenizer_->token_bytes(id);
}

bool EngineText::is_special(int32_t id) const {
  return tokenizer_ != nullptr && tokenizer_->is_special(id);
}

}  // namespace sluice::batch
