// A model split over several GGUF files, NAME-00001-of-00003.gguf and so on, the first of which
// holds the metadata.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "base/error.h"
#include "weights/gguf_metadata.h"

namespace sluice::weights {

struct GgufSplit {
  std::vector<std::filesystem::path> files;  // all, the first one first
  std::optional<int64_t> tensors;            // in all files together, if said
};

// The files that belong to the one at `path`, which has this metadata: itself, if it is whole.
// Errors: `path` is not the first part, is not named as one, or states more than kMaxShards.
Result<GgufSplit> find_split(const std::filesystem::path& path, const GgufMetadata& metadata);

// Whether a later file, the one at `split.files[place]`, says that it is that part, and no other
// value than the first for any other key.
Status check_part(const GgufMetadata& part, const GgufMetadata& first, int64_t place,
                  const GgufSplit& split);

}  // namespace sluice::weights
