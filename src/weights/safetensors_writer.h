// Writes a safetensors file front to back, in bounded memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "tensor/dtype.h"

namespace sluice::weights {

struct TensorDecl {
  std::string name;
  tensor::DType dtype = tensor::DType::kF32;
  std::vector<int64_t> dims;

  int64_t bytes() const;
  bool operator==(const TensorDecl&) const = default;
};

// The shapes come first, for the header; then the data of all tensors in the order of `tensors`,
// in pieces of any size. The file grows under `path` + ".partial" and takes its name in finish(),
// so that a reader never sees half of one; what was not finished is removed.
class SafetensorsWriter {
 public:
  // Errors: a shape that overflows, a tensor that would not be aligned to its elements (declare
  // wider types first), two of one name, a path that cannot be written.
  static Result<SafetensorsWriter> create(const std::filesystem::path& path,
                                          std::vector<TensorDecl> tensors,
                                          const std::map<std::string, std::string>& metadata = {});

  SafetensorsWriter(SafetensorsWriter&& other) noexcept;
  SafetensorsWriter& operator=(SafetensorsWriter&& other) noexcept;
  ~SafetensorsWriter();

  // The next bytes of the data. Errors: kNoRoom when the disk is full, kIo. More than was declared
  // is a bug.
  Status append(std::span<const std::byte> data);

  // Closes the file and gives it its name. That every byte came is the caller's to keep.
  // `durable` waits until the disk has it.
  Status finish(bool durable = false);

  int64_t bytes_left() const { return bytes_left_; }

 private:
  SafetensorsWriter(std::filesystem::path path, int fd, int64_t data_bytes)
      : path_(std::move(path)), fd_(fd), bytes_left_(data_bytes) {}
  Status write_all(std::span<const std::byte> bytes);

  std::filesystem::path path_;
  int fd_ = -1;
  int64_t bytes_left_ = 0;
};

// Splits `tensors`, kept in order, into shards of at most `max_shard_bytes` of data (a larger
// tensor has one for itself). One shard is model.safetensors, several are
// model-00001-of-00003.safetensors and so on.
struct ShardDecl {
  std::string file_name;
  std::vector<TensorDecl> tensors;
};
std::vector<ShardDecl> plan_shards(std::vector<TensorDecl> tensors, int64_t max_shard_bytes);

// model.safetensors.index.json for several shards; nothing is written for one.
Status write_index(const std::filesystem::path& directory, std::span<const ShardDecl> shards);

}  // namespace sluice::weights
