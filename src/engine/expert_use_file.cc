#include "engine/expert_use_file.h"

#include <vector>

#include "base/json.h"
#include "base/whole_file.h"

namespace sluice::engine {
namespace {

constexpr int64_t kVersion = 1;
constexpr int64_t kMaxBytes = int64_t{64} << 20;

Result<std::vector<double>> numbers(const Json& json, const char* key, const std::string& path) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_array()) {
    return Error{ErrorCode::kInvalid, path + ": '" + key + "' is not a list"};
  }
  std::vector<double> values;
  for (const Json& value : *found) {
    if (!value.is_number()) {
      return Error{ErrorCode::kInvalid, path + ": '" + key + "' holds what is no number"};
    }
    values.push_back(value.get<double>());
  }
  return values;
}

}  // namespace

std::string expert_use_path(const std::string& directory, const std::string& fingerprint) {
  return directory + "/" + fingerprint + ".json";
}

Status read_expert_use(const std::string& path, memory::ExpertUse& use) {
  SLUICE_ASSIGN(const std::string text, base::read_whole_file(path, kMaxBytes));
  auto json = base::parse_json(text, {.bytes = static_cast<size_t>(kMaxBytes), .depth = 4});
  if (!json) return json.error().in(path);
  SLUICE_ASSIGN(const int64_t version, base::field<int64_t>(*json, "expert_use_version", path));
  if (version != kVersion) {
    return Error{ErrorCode::kInvalid, path + ": of another version, " + std::to_string(version)};
  }
  SLUICE_ASSIGN(const std::vector<double> counts, numbers(*json, "counts", path));
  SLUICE_ASSIGN(const std::vector<double> tokens, numbers(*json, "tokens", path));
  if (!use.restore(counts, tokens)) {
    return Error{ErrorCode::kInvalid, path + ": of a model of another shape"};
  }
  return {};
}

Status write_expert_use(const std::string& path, const memory::ExpertUse& use) {
  const auto counts = use.counts();
  const auto tokens = use.tokens();
  const Json json = {{"expert_use_version", kVersion},
                     {"counts", std::vector<double>(counts.begin(), counts.end())},
                     {"tokens", std::vector<double>(tokens.begin(), tokens.end())}};
  return base::write_whole_file(path, json.dump() + "\n");
}

}  // namespace sluice::engine
