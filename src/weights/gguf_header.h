// The head of a GGUF file as its bytes state it: magic, version, counts, key-value pairs, tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "weights/gguf_metadata.h"

namespace sluice::weights {

constexpr int64_t kMaxGgufHeaderBytes = int64_t{1} << 28;  // keys, values and tensors' descriptions
constexpr uint64_t kMaxGgufKeys = 1 << 16;
constexpr uint64_t kMaxGgufTensors = 1 << 16;
constexpr int64_t kMaxGgufKeyBytes = 65535;  // the format's own
constexpr int64_t kMaxGgufNameBytes = 64;    // of a tensor; the format's own
constexpr uint32_t kMaxGgufDims = 4;         // the format's own

// One tensor as the header states it; only its name and the number of dims are checked yet.
struct GgufTensor {
  std::string_view name;
  std::vector<int64_t> dims;  // row-major, outermost first: the reverse of the file's order
  uint32_t type = 0;
  uint64_t offset = 0;  // from the first data byte
};

struct GgufHeader {
  uint32_t version = 0;
  GgufMetadata metadata;
  std::vector<GgufTensor> tensors;
  int64_t bytes = 0;  // where it ends
};

// Reads the head of the file whose bytes are `file`; the result views into them. Errors: another
// magic or version, a count, length or type that is out of range, a key or name that is empty, not
// printable ASCII, or there twice, an array of arrays, a dim below 1, the end of the file inside.
Result<GgufHeader> parse_gguf_header(std::span<const std::byte> file);

}  // namespace sluice::weights
