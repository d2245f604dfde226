#include "cli/generation_config.h"

#include <filesystem>
#include <optional>
#include <type_traits>

#include "cli/json_file.h"
#include "engine/model_files.h"
#include "weights/checkpoint.h"
#include "weights/engine_directory.h"

namespace sluice::cli {

namespace {

// A key that is absent leaves `value` as it is.
template <class T>
Status read_key(const weights::GgufMetadata& metadata, const std::string& name, T& value) {
  const weights::GgufValue* found = metadata.find("general.sampling." + name);
  if (found == nullptr) return {};
  const std::optional<double> real = found->is_array ? std::nullopt : found->real();
  const std::optional<int64_t> whole = found->is_array ? std::nullopt : found->whole();
  if (!real && !whole)
    return Error{ErrorCode::kInvalid, "'general.sampling." + name + "' is not a number"};
  if constexpr (std::is_integral_v<T>) {
    if (!whole)
      return Error{ErrorCode::kInvalid, "'general.sampling." + name + "' is not a whole number"};
    value = static_cast<T>(*whole);
  } else {
    value = static_cast<T>(real ? *real : static_cast<double>(*whole));
  }
  return {};
}

Result<engine::SamplingParams> gguf_sampling(const std::string& path) {
  SLUICE_ASSIGN(const weights::Checkpoint checkpoint, weights::open_checkpoint(path));
  const weights::GgufMetadata& metadata = *checkpoint.gguf();
  engine::SamplingParams sampling;
  sampling.temperature = 0;
  SLUICE_TRY(read_key(metadata, "temp", sampling.temperature));
  SLUICE_TRY(read_key(metadata, "penalty_repeat", sampling.repetition_penalty));
  if (sampling.temperature == 0) return sampling;
  SLUICE_TRY(read_key(metadata, "top_p", sampling.top_p));
  SLUICE_TRY(read_key(metadata, "top_k", sampling.top_k));
  SLUICE_TRY(read_key(metadata, "min_p", sampling.min_p));
  return sampling;
}

}  // namespace

Result<engine::SamplingParams> model_sampling(const std::string& model) {
  if (std::filesystem::is_regular_file(model)) return gguf_sampling(model);
  // Of a directory that was built from such a file.
  const std::string keys = model + "/" + weights::kEngineGgufFile;
  if (weights::is_engine_directory(model) && std::filesystem::exists(keys))
    return gguf_sampling(keys);
  engine::SamplingParams sampling;
  sampling.temperature = 0;
  const std::string path = model + "/generation_config.json";
  if (!std::filesystem::exists(path)) return sampling;
  SLUICE_ASSIGN(const Json json, read_json_file(path, engine::kMaxConfigBytes));
  SLUICE_ASSIGN(sampling.repetition_penalty,
                base::field_or<double>(json, "repetition_penalty", 1.0, path));
  SLUICE_ASSIGN(const bool samples, base::field_or<bool>(json, "do_sample", false, path));
  if (!samples) return sampling;
  SLUICE_ASSIGN(sampling.temperature, base::field_or<double>(json, "temperature", 1.0, path));
  SLUICE_ASSIGN(sampling.top_p, base::field_or<double>(json, "top_p", 1.0, path));
  // What transformers does when a config samples and names none.
  SLUICE_ASSIGN(sampling.top_k, base::field_or<int64_t>(json, "top_k", 50, path));
  SLUICE_ASSIGN(sampling.min_p, base::field_or<double>(json, "min_p", 0.0, path));
  return sampling;
}

}  // namespace sluice::cli
