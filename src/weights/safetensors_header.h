// The JSON of a safetensors header, read as a stream: neither a document tree nor a quadratic look
// for duplicates stands between a hostile header of 100 MB and its refusal.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace sluice::weights {

// One tensor as the header states it; nothing but the JSON types is checked yet.
struct HeaderTensor {
  std::string name;
  std::string dtype;
  std::vector<int64_t> shape;
  std::vector<int64_t> data_offsets;
};

struct HeaderJson {
  std::vector<HeaderTensor> tensors;
  std::map<std::string, std::string> metadata;
};

// Errors: not JSON, another structure than the format's, an unknown field, a field missing or
// twice, a number that is negative, fractional or beyond 63 bits. Duplicate tensor names are left
// to the caller.
Result<HeaderJson> parse_header_json(std::string_view text);

}  // namespace sluice::weights
