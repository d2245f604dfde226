// A file written beside another, to take its place in one step. Whoever reads the name finds the
// old bytes or the new ones, whatever ends the process or the machine.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "batch/file.h"

namespace sluice::batch {

// Removed where it does not come to take_place(), but for a kill; then the next begin() or
// remove_left_over() removes it. Of one file there is one at a time.
class Replacement {
 public:
  // `old` outlives it. Shares its faults.
  static Result<Replacement> begin(const File& old);
  // What a kill has left beside the file of this path.
  static Status remove_left_over(const std::string& path, FileFaults* faults);

  Replacement(Replacement&& other) noexcept;
  Replacement& operator=(Replacement&&) = delete;
  ~Replacement();

  // Appends [begin, end) of the old file.
  Status copy(int64_t begin, int64_t end);
  // All that was appended is on the disk; returns how many bytes.
  Result<int64_t> sync();
  // The old name means the new bytes, after a loss of power too; returns the file, opened to read
  // and append. After sync(); ends it.
  Result<File> take_place();

 private:
  Replacement(const File& old, File file) : old_(&old), file_(std::move(file)) {}
  Status flush();
  Status told(const Status& status) const;

  const File* old_;
  File file_;           // closed when it has been moved away or has taken its place
  std::string buffer_;  // not yet written
  int64_t bytes_ = 0;   // appended
};

}  // namespace sluice::batch
