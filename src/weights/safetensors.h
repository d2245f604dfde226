// The safetensors format: eight bytes of header length (little-endian), a JSON header, the data.
// https://github.com/huggingface/safetensors#format
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "weights/checkpoint.h"

namespace sluice::weights {

// The format's own limit.
constexpr int64_t kMaxSafetensorsHeaderBytes = 100'000'000;
constexpr size_t kMaxStoredRank = 64;

struct SafetensorsHeader {
  int64_t data_offset = 0;                      // of the first data byte, from the file's start
  std::vector<TensorEntry> tensors;             // in the order of their data; file is 0
  std::map<std::string, std::string> metadata;  // "__metadata__"
};

// Reads and checks the header of a file of `file_bytes` bytes that begins with `head`, which must
// hold the whole header if the file does. Checked: the length; strict JSON; every field of every
// tensor; that type and shape give exactly the bytes between the offsets; that the tensors cover
// the data without a gap, an overlap or a rest; that each is aligned to its elements. Errors name
// the tensor, not the file.
Result<SafetensorsHeader> parse_safetensors(std::span<const std::byte> head, int64_t file_bytes);

// One file as a whole checkpoint.
Result<Checkpoint> open_safetensors(const std::filesystem::path& path);

// A directory with model.safetensors.index.json: {"weight_map": {tensor: shard}}. Shards must lie
// in the directory itself and hold exactly the tensors that the index says.
Result<Checkpoint> open_safetensors_index(const std::filesystem::path& index);

}  // namespace sluice::weights
