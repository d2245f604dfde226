#include "batch/line_reader.h"

#include <algorithm>
#include <cstring>

namespace sluice::batch {
namespace {

constexpr size_t kReadBytes = size_t{256} << 10;

std::string_view without_return(std::string_view text) {
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

}  // namespace

LineReader::LineReader(const File& file, int64_t offset, size_t max_line_bytes)
    : file_(file), max_line_bytes_(max_line_bytes), offset_(offset) {}

// Moves what is unread to the front and reads more behind it.
Status LineReader::fill() {
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() < end_ + kReadBytes) buffer_.resize(std::max(end_ * 2, end_ + kReadBytes));
  SLUICE_ASSIGN(const size_t got, file_.read_at(offset_ + static_cast<int64_t>(end_),
                                                buffer_.data() + end_, buffer_.size() - end_));
  end_ += got;
  at_end_ = got == 0;
  return {};
}

Result<std::optional<Line>> LineReader::next() {
  size_t searched = 0;
  for (;;) {
    const char* from = buffer_.data() + begin_ + searched;
    const size_t unread = end_ - begin_;
    const void* newline = unread > searched ? std::memchr(from, '\n', unread - searched) : nullptr;
    if (newline == nullptr && unread > max_line_bytes_ + 1) return pass_over_long();
    if (newline == nullptr && !at_end_) {
      searched = unread;
      SLUICE_TRY(fill());
      continue;
    }
    if (newline == nullptr && unread == 0) return std::optional<Line>();
    Line line;
    line.number = ++number_;
    line.offset = offset_;
    line.whole = newline != nullptr;
    const char* start = buffer_.data() + begin_;
    const size_t bytes = newline != nullptr
                             ? static_cast<size_t>(static_cast<const char*>(newline) - start)
                             : unread;
    line.text = without_return({start, bytes});
    line.too_long = line.text.size() > max_line_bytes_;
    if (line.too_long) line.text = {};
    const size_t used = bytes + (newline != nullptr ? 1 : 0);
    begin_ += used;
    offset_ += static_cast<int64_t>(used);
    line.end = offset_;
    return std::optional<Line>(line);
  }
}

Result<std::optional<Line>> LineReader::pass_over_long() {
  Line line;
  line.number = ++number_;
  line.offset = offset_;
  line.too_long = true;
  line.whole = false;
  while (!line.whole) {
    const char* from = buffer_.data() + begin_;
    const void* newline = end_ > begin_ ? std::memchr(from, '\n', end_ - begin_) : nullptr;
    line.whole = newline != nullptr;
    const size_t used = line.whole
                            ? static_cast<size_t>(static_cast<const char*>(newline) - from) + 1
                            : end_ - begin_;
    begin_ += used;
    offset_ += static_cast<int64_t>(used);
    if (line.whole) break;
    begin_ = end_ = 0;
    SLUICE_TRY(fill());
    if (at_end_) break;
  }
  line.end = offset_;
  return std::optional<Line>(line);
}

Result<std::string> line_at(const File& file, int64_t offset, size_t max_bytes) {
  std::string text;
  size_t step = 4096;
  for (;;) {
    const size_t had = text.size();
    text.resize(had + step);
    SLUICE_ASSIGN(const size_t got,
                  file.read_at(offset + static_cast<int64_t>(had), text.data() + had, step));
    text.resize(had + got);
    const size_t newline = text.find('\n', had);
    if (newline != std::string::npos) text.resize(newline);
    if (newline != std::string::npos || got < step || text.size() > max_bytes) break;
    step = std::min(step * 4, size_t{1} << 20);
  }
  if (text.ends_with('\r')) text.pop_back();
  return text;
}

}  // namespace sluice::batch
