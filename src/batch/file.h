// A file descriptor with an owner, and reads and writes that go through to the end or say why not.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace sluice::batch {

class FileFaults;

class File {
 public:
  File() = default;
  File(int fd, std::string path, FileFaults* faults = nullptr)
      : fd_(fd), path_(std::move(path)), faults_(faults) {}
  File(File&& other) noexcept
      : fd_(other.fd_), path_(std::move(other.path_)), faults_(other.faults_) {
    other.fd_ = -1;
  }
  File& operator=(File&& other) noexcept;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File();

  // `flags` as open(2) takes them; close-on-exec is added, new files get mode 0644. `faults`
  // (file_faults.h) may be null, and outlives the file.
  static Result<File> open(const std::string& path, int flags, FileFaults* faults = nullptr);
  // A nameless file in the directory of `beside`, gone with its descriptor.
  static Result<File> scratch(const std::string& beside);

  int fd() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  const std::string& path() const { return path_; }

  Result<int64_t> size() const;
  // At most `bytes` from `offset`; less only at the end of the file.
  Result<size_t> read_at(int64_t offset, char* data, size_t bytes) const;
  // All of it at the descriptor's position. kNoRoom when the disk, a quota or a limit is full.
  Status write(std::string_view bytes) const;
  Status truncate(int64_t bytes) const;
  Status sync() const;  // the data, and what is needed to read it back

  FileFaults* faults() const { return faults_; }

  // The sentence for the last system call's errno: "cannot write x: No space left on device".
  Error system_error(const char* what) const;

 private:
  int fd_ = -1;
  std::string path_;
  FileFaults* faults_ = nullptr;
};

// The file `from` gets the name `to`, in place of whatever had it, in one step.
Status rename_file(const std::string& from, const std::string& to, FileFaults* faults = nullptr);
// Well if there is none.
Status remove_file(const std::string& path, FileFaults* faults = nullptr);
// Makes a name just created in the directory of `path` survive a loss of power.
Status sync_directory_of(const std::string& path, FileFaults* faults = nullptr);

}  // namespace sluice::batch
