// A whole file, mapped read-only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "base/error.h"

namespace sluice::weights {

// The size is taken once, when the file is opened. A file that another process truncates while it
// is mapped raises SIGBUS at the first read past its new end: checkpoints must be replaced by
// rename, never rewritten in place.
class MappedFile {
 public:
  // Maps a regular file of at least one byte. Errors: not found, not a file, empty, not readable.
  static Result<MappedFile> open(const std::filesystem::path& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  const std::filesystem::path& path() const { return path_; }
  int64_t bytes() const { return static_cast<int64_t>(size_); }
  std::span<const std::byte> data() const { return {data_, size_}; }

  // Whether the range lies in the page cache, as far as the system tells: of a file that this user
  // may neither own nor write it always says so.
  bool cached(int64_t offset, int64_t bytes) const;

  // Hints to the kernel about [offset, offset + bytes); neither can fail in a way that matters.
  // Starts to read the range in the background.
  void prefetch(int64_t offset, int64_t bytes) const;
  // Gives back the memory of the whole pages inside the range. They stay readable: a later read
  // takes them from the page cache or the disk again.
  void drop(int64_t offset, int64_t bytes) const;
  // Reads no more than is asked for, for samples far apart; and as usual again.
  void expect_random() const;
  void expect_usual() const;

 private:
  MappedFile(std::filesystem::path path, const std::byte* data, size_t size)
      : path_(std::move(path)), data_(data), size_(size) {}

  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace sluice::weights
