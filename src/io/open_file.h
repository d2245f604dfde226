// Opens a file for reading, past the page cache where that is possible.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

#include "base/error.h"

namespace sluice::io {

// Owns its descriptor.
class OpenFile {
 public:
  OpenFile(int fd, std::filesystem::path path, int64_t bytes, bool direct)
      : path_(std::move(path)), fd_(fd), bytes_(bytes), direct_(direct) {}
  ~OpenFile();
  OpenFile(OpenFile&& other) noexcept
      : path_(std::move(other.path_)),
        fd_(std::exchange(other.fd_, -1)),
        bytes_(other.bytes_),
        direct_(other.direct_) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  int fd() const { return fd_; }
  int64_t bytes() const { return bytes_; }  // when it was opened
  bool direct() const { return direct_; }

 private:
  std::filesystem::path path_;
  int fd_;
  int64_t bytes_;
  bool direct_;
};

// `want_direct`: with O_DIRECT if the file system has it and a first read with it works; else
// buffered, and `why_buffered` becomes a sentence. Errors: those of Reader::open.
Result<OpenFile> open_file(const std::filesystem::path& path, bool want_direct,
                           std::string& why_buffered);

// Of the platform (direct_open_linux.cc): a descriptor that bypasses the page cache, or -1 and
// errno; ENOTSUP where the system has no such thing.
int open_direct(const char* path);

}  // namespace sluice::io
