// Opens a file for reading, or makes one for scratch, past the page cache where that is possible.
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
  OpenFile(int fd, std::filesystem::path path, int64_t bytes, bool direct, bool scratch = false)
      : path_(std::move(path)), fd_(fd), bytes_(bytes), direct_(direct), scratch_(scratch) {}
  ~OpenFile();
  OpenFile(OpenFile&& other) noexcept
      : path_(std::move(other.path_)),
        fd_(std::exchange(other.fd_, -1)),
        bytes_(other.bytes_),
        direct_(other.direct_),
        scratch_(other.scratch_) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  int fd() const { return fd_; }
  int64_t bytes() const { return bytes_; }  // when it was opened
  bool direct() const { return direct_; }
  bool scratch() const { return scratch_; }  // made here, and may be written

 private:
  std::filesystem::path path_;
  int fd_;
  int64_t bytes_;
  bool direct_;
  bool scratch_;
};

// `want_direct`: with O_DIRECT if the file system has it and a first read with it works; else
// buffered, and `why_buffered` becomes a sentence. Errors: those of Reader::open.
Result<OpenFile> open_file(const std::filesystem::path& path, bool want_direct,
                           std::string& why_buffered);

// A file without a name, with room for `bytes`. Its path is the directory's. Errors: those of
// Reader::open_scratch.
Result<OpenFile> make_scratch(const std::filesystem::path& directory, int64_t bytes,
                              bool want_direct, std::string& why_buffered);

// Of the platform (direct_open_linux.cc): a descriptor that bypasses the page cache, or -1 and
// errno; ENOTSUP where the system has no such thing.
int open_direct(const char* path);
// Likewise a new file in a directory, without a name; and of such a file, its room on the disk: 0,
// or an errno.
int open_nameless(const char* directory, bool direct);
int take_room(int fd, int64_t bytes);

}  // namespace sluice::io
