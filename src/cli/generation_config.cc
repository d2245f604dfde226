#include "cli/generation_config.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/json.h"
#include "engine/model_files.h"

namespace sluice::cli {

Result<engine::SamplingParams> model_sampling(const std::string& model) {
  engine::SamplingParams sampling;
  sampling.temperature = 0;
  const std::string path = model + "/generation_config.json";
  if (!std::filesystem::exists(path)) return sampling;
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  base::JsonLimits limits;
  limits.bytes = engine::kMaxConfigBytes;
  auto json = base::parse_json(text.str(), limits);
  if (!json) return json.error().in(path);
  SLUICE_ASSIGN(sampling.repetition_penalty,
                base::field_or<double>(*json, "repetition_penalty", 1.0, path));
  SLUICE_ASSIGN(const bool samples, base::field_or<bool>(*json, "do_sample", false, path));
  if (!samples) return sampling;
  SLUICE_ASSIGN(sampling.temperature, base::field_or<double>(*json, "temperature", 1.0, path));
  SLUICE_ASSIGN(sampling.top_p, base::field_or<double>(*json, "top_p", 1.0, path));
  // What transformers does when a config samples and names none.
  SLUICE_ASSIGN(sampling.top_k, base::field_or<int64_t>(*json, "top_k", 50, path));
  SLUICE_ASSIGN(sampling.min_p, base::field_or<double>(*json, "min_p", 0.0, path));
  return sampling;
}

}  // namespace sluice::cli
