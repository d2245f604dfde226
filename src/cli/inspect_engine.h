// What `sluice inspect` says of an engine directory, and the check of all that it holds.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "weights/engine_directory.h"

namespace sluice::cli {

// "engine" of inspect's JSON.
Json engine_json(const weights::EngineDirectory& directory);
// A few words: what it was built from, with which --quant, its pages.
std::string engine_text(const weights::EngineDirectory& directory);

struct Verification {
  int64_t groups = 0;
  int64_t bytes = 0;                 // read
  int64_t damaged = 0;               // groups
  std::vector<std::string> damages;  // a sentence for each of the first kMostTold
  static constexpr int64_t kMostTold = 100;
};

// Reads every group and compares its checksum, with progress on standard error.
Verification verify(const weights::EngineDirectory& directory);
Json to_json(const Verification& verification);

}  // namespace sluice::cli
