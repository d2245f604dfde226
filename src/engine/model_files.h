// A model's descriptions, read before its weights: of a Hugging Face directory, a GGUF file, or an
// engine directory.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "models/family.h"
#include "models/weight_source.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "weights/checkpoint.h"
#include "weights/engine_directory.h"

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
  // Of an engine directory: the keys of the GGUF file that it was built from, or empty.
  weights::Checkpoint checkpoint;
  std::optional<weights::EngineDirectory> engine;
};

// MODEL: a Hugging Face directory, a .gguf file, or a directory that `sluice build` made. Reads
// what the model is and opens its weights. Errors name the file.
Result<OpenModel> open_model(const std::string& path);

// The weights of `opened`, which must outlive them, quantized as `quant` names it. Errors: what the
// makers of weight_source.h say; a `quant` for weights that are packed already.
Result<std::unique_ptr<models::WeightSource>> open_weights(const OpenModel& opened,
                                                           const std::string& quant);

// The same for the same answers, but for quantizing while loading: see weights/fingerprint.h and
// EngineDirectory::fingerprint().
Result<std::string> fingerprint_of(const OpenModel& opened);

// A model that is opened once, for who wants to know of it before it is loaded and for the engine
// that then loads it.
struct OpenedModel {
  std::string path, quant;
  std::unique_ptr<OpenModel> opened;  // `source` points into it
  ModelFiles files;
  std::string fingerprint;
  std::unique_ptr<models::WeightSource> source;
};
// Errors as of the parts below and above.
Result<OpenedModel> open_to_load(const std::string& path, const std::string& quant);

// The rest of what lies at `path`: end tokens, tokenizer, chat template. A model without a
// tokenizer or template is not an error here.
Result<ModelFiles> read_model_files(const std::string& path, const OpenModel& opened);

}  // namespace sluice::engine
