#include <array>

#include "models/family.h"

namespace sluice::models {
namespace {

constexpr std::array<const Family*, 4> kFamilies = {&kLlama, &kMixtral, &kQwen3Moe, &kOlmoe};

}  // namespace

std::span<const Family* const> families() { return kFamilies; }

Result<const Family*> find_family(const Json& config) {
  if (!config.is_object() || !config.contains("architectures") ||
      !config["architectures"].is_array() || config["architectures"].size() != 1 ||
      !config["architectures"][0].is_string()) {
    return Error{ErrorCode::kInvalid, "config.json: 'architectures' must be a list of one name"};
  }
  const auto wanted = config["architectures"][0].get<std::string>();
  std::string known;
  for (const Family* family : kFamilies) {
    if (family->architecture == wanted) return family;
    known += (known.empty() ? "" : ", ") + std::string(family->architecture);
  }
  return Error{ErrorCode::kUnsupported,
               "config.json: architecture '" + wanted + "' is not supported; these are: " + known};
}

Result<ModelConfig> read_config(const Json& config) {
  SLUICE_ASSIGN(const Family* family, find_family(config));
  return family->read(config);
}

}  // namespace sluice::models
