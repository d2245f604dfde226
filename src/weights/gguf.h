// GGUF: keys and values, descriptions of tensors, the data of each at a multiple of the file's
// alignment. Versions 2 and 3, little-endian, whole or split over several files.
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "base/error.h"
#include "weights/checkpoint.h"
#include "weights/gguf_metadata.h"

namespace sluice::weights {

constexpr int64_t kDefaultGgufAlignment = 32;
constexpr int64_t kMinGgufAlignment = 8;  // the format's own
constexpr int64_t kMaxGgufAlignment = int64_t{1} << 24;

struct GgufFile {
  GgufMetadata metadata;
  int64_t data_offset = 0;           // of the first data byte, from the file's start
  std::vector<TensorEntry> tensors;  // in the order of their data; file is 0
};

// Reads and checks the file whose bytes are `file`; the metadata views into them. Checked: all that
// parse_gguf_header() checks; that the alignment is a power of two; that every type is known, every
// row whole blocks, and no product overflows; that the tensors follow each other, each at the first
// multiple of the alignment after the one before, and end inside the file. Errors name the key or
// the tensor, not the file.
Result<GgufFile> parse_gguf(std::span<const std::byte> file);

// A GGUF file as a checkpoint; the first one of a split brings the others, which must lie beside it
// under the names that splitting gives them, NAME-00001-of-00003.gguf.
Result<Checkpoint> open_gguf(const std::filesystem::path& path);

}  // namespace sluice::weights
