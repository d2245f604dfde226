// A model's descriptions, read before its weights: of a Hugging Face directory, or of a GGUF file.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "models/family.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "weights/checkpoint.h"

namespace sluice::engine {

struct ModelFiles {
  const models::Family* family = nullptr;
  models::ModelConfig config;
  // Of generation_config.json, else of config.json; of a GGUF file see end_tokens().
  std::vector<int32_t> eos;
  std::optional<text::Tokenizer> tokenizer;
  std::optional<text::ChatTemplate> chat_template;
};

// Limit on config.json and generation_config.json.
constexpr int64_t kMaxConfigBytes = int64_t{4} << 20;

struct OpenModel {
  models::FamilyModel model;
  weights::Checkpoint checkpoint;
};

// MODEL: a Hugging Face directory, or a .gguf file. Reads what the model is and opens its weights.
// Errors name the file.
Result<OpenModel> open_model(const std::string& path);

// The rest of what lies at `path`: end tokens, tokenizer, chat template. A model without a
// tokenizer or template is not an error here.
Result<ModelFiles> read_model_files(const std::string& path, const OpenModel& opened);

}  // namespace sluice::engine
