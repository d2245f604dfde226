// Lines of a file from front to back, in bounded memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "batch/file.h"

namespace sluice::batch {

inline constexpr size_t kMaxLineBytes = size_t{16} << 20;

struct Line {
  int64_t number = 0;     // from 1, empty lines counted
  int64_t offset = 0;     // of its first byte in the file
  int64_t end = 0;        // of what follows it and its newline
  std::string_view text;  // without "\n" or "\r\n"; until the next call. Empty when too long
  bool too_long = false;  // over the limit: passed over without being held
  bool whole = true;      // false: the last line, and no newline ends it
};

class LineReader {
 public:
  // `file` outlives the reader. Starts at `offset`, which begins line 1.
  explicit LineReader(const File& file, int64_t offset = 0, size_t max_line_bytes = kMaxLineBytes);

  // The next line, or nothing at the end of the file.
  Result<std::optional<Line>> next();

 private:
  Status fill();
  Result<std::optional<Line>> pass_over_long();

  const File& file_;
  size_t max_line_bytes_;
  std::vector<char> buffer_;
  size_t begin_ = 0, end_ = 0;  // what of the buffer is unread
  int64_t offset_ = 0;          // in the file, of buffer_[begin_]
  int64_t number_ = 0;
  bool at_end_ = false;
};

// The text of the line that begins at `offset`, at most about `max_bytes` of it.
Result<std::string> line_at(const File& file, int64_t offset, size_t max_bytes = kMaxLineBytes);

}  // namespace sluice::batch
