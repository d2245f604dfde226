// A file that is written, with an owner; writes go through to the end or say why not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace sluice::weights {

class OutputFile {
 public:
  OutputFile() = default;
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&& other) noexcept;
  ~OutputFile();

  // `flags` as open(2) takes them beside O_RDWR; what is not there is created.
  static Result<OutputFile> open(const std::filesystem::path& path, int flags = 0);

  bool is_open() const { return fd_ >= 0; }
  const std::filesystem::path& path() const { return path_; }

  // kNoRoom when the disk, a quota or a limit is full.
  Status write_at(int64_t offset, std::span<const std::byte> bytes) const;
  Status append(std::string_view text) const;  // at the end, in one piece where that is possible
  // Less than asked for only at the end of the file.
  Result<int64_t> read_at(int64_t offset, std::span<std::byte> into) const;
  Result<std::string> read_all() const;
  Result<int64_t> size() const;
  Status resize(int64_t bytes) const;
  Status sync() const;  // the data, and what is needed to read it back
  // These bytes need not stay in memory: what is on the disk goes, and the rest begins to be
  // written.
  void give_back(int64_t offset, int64_t bytes) const;
  // Nobody else may have it locked. False: somebody has.
  Result<bool> lock() const;
  // Whether the name still leads to this file.
  bool still_named() const;

 private:
  Error failed(const char* what) const;

  int fd_ = -1;
  std::filesystem::path path_;
};

// The whole of a file, on the disk when it returns.
Status write_durable(const std::filesystem::path& path, std::string_view text);

// Makes names that were made, changed or removed in `directory` survive a loss of power.
Status sync_directory(const std::filesystem::path& directory);

}  // namespace sluice::weights
