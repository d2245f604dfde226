// JSON files that a command line names.
#pragma once

#include <string>

#include "base/json.h"

namespace sluice::cli {

constexpr int64_t kMaxPlanFileBytes = int64_t{16} << 20;

// Errors name the file: what base::read_whole_file() and base::parse_json() say.
Result<Json> read_json_file(const std::string& path, int64_t most_bytes);

}  // namespace sluice::cli
