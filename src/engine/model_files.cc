#include "engine/model_files.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/gguf_vocabulary.h"
#include "models/gguf_model.h"
#include "models/hf_config.h"
#include "models/quantization.h"
#include "weights/fingerprint.h"
#include "weights/quote.h"

namespace sluice::engine {
namespace {

namespace fs = std::filesystem;

Result<Json> read_json(const fs::path& path) {
  std::error_code failed;
  const auto bytes = fs::file_size(path, failed);
  if (failed) {
    return Error{ErrorCode::kNotFound, path.string() + " is not there or cannot be read"};
  }
  if (bytes > static_cast<uintmax_t>(kMaxConfigBytes)) {
    return Error{ErrorCode::kInvalid,
                 path.string() + " is larger than " + std::to_string(kMaxConfigBytes) + " bytes"};
  }
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) return Error{ErrorCode::kIo, path.string() + " cannot be read"};
  auto json = base::parse_json(text.str());
  if (!json) return json.error().in(path.string());
  return json;
}

Result<std::vector<int32_t>> read_eos(const fs::path& directory,
                                      const models::ModelConfig& config) {
  const fs::path path = directory / "generation_config.json";
  if (!fs::exists(path)) return config.eos;
  SLUICE_ASSIGN(const Json json, read_json(path));
  models::HfConfig generation(json, path.string());
  std::vector<int32_t> eos = generation.token_ids("eos_token_id");
  if (const auto status = generation.finish();
      !status && status.error().code != ErrorCode::kUnsupported) {
    return status.error();
  }
  return eos.empty() ? config.eos : eos;
}

// Nothing, if the directory has none; an error, if it has one that cannot be read.
template <class T>
Status optional_part(Result<T> part, std::optional<T>& out) {
  if (part) {
    out = std::move(part).value();
  } else if (part.error().code != ErrorCode::kNotFound) {
    return part.error();
  }
  return {};
}

// Of a directory without config.json: the GGUF file in it that may have been meant, or nothing.
std::string gguf_hint(const fs::path& directory) {
  std::error_code ignored;
  for (const auto& item : fs::directory_iterator(directory, ignored)) {
    if (item.path().extension() == ".gguf")
      return "; name the file " + weights::quote(item.path().filename().string()) + " itself";
  }
  return {};
}

Result<models::FamilyModel> read_hugging_face_model(const fs::path& directory) {
  auto json = read_json(directory / "config.json");
  if (!json) return Error{json.error().code, json.error().message + gguf_hint(directory)};
  models::FamilyModel model;
  SLUICE_ASSIGN(model.family, models::find_family(*json));
  SLUICE_ASSIGN(model.config, model.family->read(*json));
  return model;
}

// The config in the manifest is the one that the source had.
Status read_engine_model(OpenModel& opened) {
  const weights::EngineManifest& manifest = opened.engine->manifest();
  if (manifest.config.is_object()) {
    SLUICE_ASSIGN(opened.model.family, models::find_family(manifest.config));
    SLUICE_ASSIGN(opened.model.config, opened.model.family->read(manifest.config));
    return {};
  }
  SLUICE_ASSIGN(opened.checkpoint,
                weights::open_checkpoint(opened.engine->root() / weights::kEngineGgufFile));
  models::GgufShapes elsewhere;
  for (const weights::GgufShape& shape : manifest.gguf_tensors)
    elsewhere.emplace(shape.name, shape.dims);
  SLUICE_ASSIGN(opened.model, models::read_gguf_model(opened.checkpoint, elsewhere));
  return {};
}

Status read_hugging_face_text(const std::string& directory, ModelFiles& files) {
  SLUICE_ASSIGN(files.eos, read_eos(directory, files.config));
  SLUICE_TRY(optional_part(text::Tokenizer::from_directory(directory), files.tokenizer));
  return optional_part(text::ChatTemplate::from_directory(directory), files.chat_template);
}

Status read_gguf_text(const weights::GgufMetadata& metadata, ModelFiles& files) {
  SLUICE_ASSIGN(const text::GgufVocabulary vocabulary, read_gguf_vocabulary(metadata));
  files.eos = end_tokens(vocabulary);
  if (!has_vocabulary(vocabulary)) return {};
  SLUICE_TRY(optional_part(text::Tokenizer::from_gguf(vocabulary), files.tokenizer));
  return optional_part(text::ChatTemplate::from_gguf(vocabulary), files.chat_template);
}

}  // namespace

Result<OpenModel> open_model(const std::string& path) {
  OpenModel opened;
  if (weights::is_engine_directory(path)) {
    SLUICE_ASSIGN(opened.engine, weights::EngineDirectory::open(path));
    auto status = read_engine_model(opened);
    if (!status) return status.error().in(path);
    return opened;
  }
  if (fs::is_directory(path)) {
    auto model = read_hugging_face_model(path);
    if (!model) return model.error().in(path);
    opened.model = std::move(model).value();
    SLUICE_ASSIGN(opened.checkpoint, weights::open_checkpoint(path));
    return opened;
  }
  if (fs::exists(path) && fs::path(path).extension() != ".gguf") {
    return Error{ErrorCode::kUnsupported,
                 "'" + path +
                     "' is neither a directory nor a .gguf file; name a Hugging Face model "
                     "directory, a GGUF file, or a directory that 'sluice build' made"};
  }
  SLUICE_ASSIGN(opened.checkpoint, weights::open_checkpoint(path));
  auto model = models::read_gguf_model(opened.checkpoint);
  if (!model) return model.error().in(path);
  opened.model = std::move(model).value();
  return opened;
}

Result<std::unique_ptr<models::WeightSource>> open_weights(const OpenModel& opened,
                                                           const std::string& quant) {
  SLUICE_ASSIGN(const models::Quantization quantization, models::parse_quantization(quant));
  const models::ModelConfig& config = opened.model.config;
  if (!opened.engine) {
    return models::checkpoint_source(config, *opened.model.family, opened.checkpoint, quantization);
  }
  const std::string& built = opened.engine->manifest().quantization;
  if (quantization != models::Quantization{} && quant != built) {
    return Error{ErrorCode::kInvalid, "--quant " + quant + " cannot apply: the weights of '" +
                                          opened.engine->root().string() +
                                          "' were packed with --quant " + built +
                                          "; leave it out, or build another directory"};
  }
  return models::engine_source(config, *opened.model.family, *opened.engine);
}

Result<std::string> fingerprint_of(const OpenModel& opened) {
  if (opened.engine) return opened.engine->fingerprint();
  return weights::fingerprint(opened.checkpoint);
}

Result<ModelFiles> read_model_files(const std::string& path, const OpenModel& opened) {
  ModelFiles files;
  files.family = opened.model.family;
  files.config = opened.model.config;
  if (const weights::GgufMetadata* metadata = opened.checkpoint.gguf(); metadata != nullptr) {
    if (auto status = read_gguf_text(*metadata, files); !status) return status.error().in(path);
  } else {
    SLUICE_TRY(read_hugging_face_text(path, files));
  }
  for (int32_t id : files.eos) {
    if (id < 0 || id >= files.config.vocab) {
      return Error{ErrorCode::kInvalid, path + ": eos_token_id " + std::to_string(id) +
                                            " is outside the vocabulary of " +
                                            std::to_string(files.config.vocab)};
    }
  }
  return files;
}

Result<OpenedModel> open_to_load(const std::string& path, const std::string& quant) {
  OpenedModel model{.path = path, .quant = quant};
  SLUICE_ASSIGN(OpenModel opened, open_model(path));
  model.opened = std::make_unique<OpenModel>(std::move(opened));
  SLUICE_ASSIGN(model.files, read_model_files(path, *model.opened));
  SLUICE_ASSIGN(model.fingerprint, fingerprint_of(*model.opened));
  SLUICE_ASSIGN(model.source, open_weights(*model.opened, quant));
  return model;
}

}  // namespace sluice::engine
