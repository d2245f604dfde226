#include "engine/model_files.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "models/hf_config.h"

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

}  // namespace

Result<models::ModelConfig> read_model_config(const std::string& directory) {
  SLUICE_ASSIGN(const Json json, read_json(fs::path(directory) / "config.json"));
  auto config = models::read_config(json);
  if (!config) return config.error().in(directory);
  return config;
}

Result<ModelFiles> read_model_files(const std::string& directory) {
  ModelFiles files;
  SLUICE_ASSIGN(const Json json, read_json(fs::path(directory) / "config.json"));
  auto family = models::find_family(json);
  if (!family) return family.error().in(directory);
  files.family = *family;
  auto config = files.family->read(json);
  if (!config) return config.error().in(directory);
  files.config = std::move(config).value();
  SLUICE_ASSIGN(files.eos, read_eos(directory, files.config));
  for (int32_t id : files.eos) {
    if (id >= files.config.vocab) {
      return Error{ErrorCode::kInvalid, directory + ": eos_token_id " + std::to_string(id) +
                                            " is outside the vocabulary of " +
                                            std::to_string(files.config.vocab)};
    }
  }
  SLUICE_TRY(optional_part(text::Tokenizer::from_directory(directory), files.tokenizer));
  SLUICE_TRY(optional_part(text::ChatTemplate::from_directory(directory), files.chat_template));
  return files;
}

}  // namespace sluice::engine
