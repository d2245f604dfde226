// Where the groups of an engine directory lie: a pure function of their sizes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "weights/engine_manifest.h"

namespace sluice::weights {

struct EnginePlace {
  int file = 0;
  int64_t offset = 0;  // a multiple of kEngineAlignment
  int64_t bytes = 0;   // of the group, without the zeros behind it
  bool operator==(const EnginePlace&) const = default;
};

struct EnginePlaces {
  std::vector<EngineFile> files;
  std::vector<EnginePlace> groups;
  int64_t bytes = 0;  // of all files
};

// One behind the other, in order; a new file begins where the next group would lead past
// `most_file_bytes`. Sizes are at least 1.
EnginePlaces place_groups(std::span<const int64_t> sizes,
                          int64_t most_file_bytes = kMaxEngineFileBytes);

}  // namespace sluice::weights
