// A model's text side as the engine has it: tokenizer.json and the chat template.
#pragma once

#include <cstdint>

#include "batch/model_text.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace sluice::batch {

class EngineText : public ModelText {
 public:
  // Either may be null, and outlives this: what needs it is then refused. `local_time_s` is what
  // templates are told the time is.
  EngineText(const text::Tokenizer* tokenizer, const text::ChatTemplate* chat_template,
             int64_t local_time_s)
      : tokenizer_(tokenizer), template_(chat_template), local_time_s_(local_time_s) {}

  Result<std::vector<int32_t>> render(const BatchLine& line) const override;
  Result<std::vector<int32_t>> encode(std::string_view text,
                                      bool add_special_tokens) const override;
  Result<std::string> decode(std::span<const int32_t> ids, bool skip_special_tokens) const override;
  std::string token_bytes(int32_t id) const override;
  bool is_special(int32_t id) const override;

 private:
  const text::Tokenizer* tokenizer_;
  const text::ChatTemplate* template_;
  int64_t local_time_s_;
};

}  // namespace sluice::batch
