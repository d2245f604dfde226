// A model directory's descriptions, read before its weights.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "models/family.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace sluice::engine {

struct ModelFiles {
  const models::Family* family = nullptr;
  models::ModelConfig config;
  std::vector<int32_t> eos;  // of generation_config.json, else of config.json
  std::optional<text::Tokenizer> tokenizer;
  std::optional<text::ChatTemplate> chat_template;
};

// Limit on config.json and generation_config.json.
constexpr int64_t kMaxConfigBytes = int64_t{4} << 20;

// Errors name the file. A directory without a tokenizer or template is not an error here.
Result<ModelFiles> read_model_files(const std::string& directory);

// config.json alone.
Result<models::ModelConfig> read_model_config(const std::string& directory);

}  // namespace sluice::engine
