// The seam where simulators make the files of a batch misbehave and learn what a loss of power
// would leave of them: told of each call before it is made, on the thread that makes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace sluice::batch {

class FileFaults {
 public:
  virtual ~FileFaults() = default;

  // Each returns an errno in the call's place; 0: it is made. `path` is as the file was opened.
  virtual int before_open(const std::string& path) = 0;
  // An appending write of `bytes`, which may be made less: so many are written before the errno.
  virtual int before_write(const std::string& path, size_t& bytes) = 0;
  virtual int before_truncate(const std::string& path, int64_t bytes) = 0;
  virtual int before_sync(const std::string& path) = 0;
  // `to` may have been another file's name until then.
  virtual int before_rename(const std::string& from, const std::string& to) = 0;
  // There may be no such file.
  virtual int before_remove(const std::string& path) = 0;
  // Of the directory that holds `path`, for the names in it.
  virtual int before_sync_directory(const std::string& path) = 0;
};

}  // namespace sluice::batch
