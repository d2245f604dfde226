// model.safetensors.index.json: which shard holds which tensor.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace sluice::weights {

constexpr int64_t kMaxIndexBytes = 100'000'000;
constexpr size_t kMaxShards = 10'000;
constexpr int kMaxIndexDepth = 16;

// (tensor, shard), sorted by tensor. Errors: not JSON, no 'weight_map', a tensor named twice, a
// shard that is not the plain name of a file in the index's own directory. Other fields are
// descriptions (metadata.total_size is often wrong in the field) and are skipped.
using WeightMap = std::vector<std::pair<std::string, std::string>>;
Result<WeightMap> parse_index(std::string_view text);

}  // namespace sluice::weights
