// A file of random bytes to measure reads with, on the disk and not in the page cache.
#pragma once

#include <cstdint>
#include <filesystem>
#include <utility>

#include "base/error.h"

namespace sluice::probe {

// Removes its file.
class ScratchFile {
 public:
  // Writes up to `bytes` bytes in `time_ms`, but at least a block of 32 MiB or `bytes`.
  // Errors: kNoRoom, kIo.
  static Result<ScratchFile> write(const std::filesystem::path& directory, int64_t bytes,
                                   int64_t time_ms);

  ScratchFile(ScratchFile&& other) noexcept
      : path_(std::exchange(other.path_, {})),
        fd_(std::exchange(other.fd_, -1)),
        bytes_(other.bytes_) {}
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  ~ScratchFile();

  // Takes the name away; whoever has it open goes on reading. Nothing is left behind then, however
  // the program ends.
  void remove();
  void drop_from_page_cache() const;

  const std::filesystem::path& path() const { return path_; }
  int64_t bytes() const { return bytes_; }

 private:
  ScratchFile(std::filesystem::path path, int fd) : path_(std::move(path)), fd_(fd) {}

  std::filesystem::path path_;  // empty: removed
  int fd_;
  int64_t bytes_ = 0;
};

}  // namespace sluice::probe
