#include "batch/input.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "batch/hash.h"

namespace sluice::batch {
namespace {

constexpr size_t kCopyBytes = size_t{1} << 20;

// Counts lines that hold more than white space.
class RequestCount {
 public:
  void add(std::string_view bytes) {
    while (!bytes.empty()) {
      const size_t newline = bytes.find('\n');
      const std::string_view part = bytes.substr(0, newline);
      has_text_ = has_text_ || part.find_first_not_of(" \t\r") != std::string_view::npos;
      if (newline == std::string_view::npos) return;
      count_ += has_text_ ? 1 : 0;
      has_text_ = false;
      bytes.remove_prefix(newline + 1);
    }
  }
  int64_t total() const { return count_ + (has_text_ ? 1 : 0); }

 private:
  int64_t count_ = 0;
  bool has_text_ = false;
};

Result<File> copy_of(const File& source, const std::string& output_path) {
  SLUICE_ASSIGN(File copy, File::scratch(output_path));
  std::vector<char> buffer(kCopyBytes);
  for (;;) {
    const ssize_t got = ::read(source.fd(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return source.system_error("read");
    if (got == 0) return copy;
    SLUICE_TRY(copy.write({buffer.data(), static_cast<size_t>(got)}));
  }
}

Result<File> open_regular(const std::string& path, const std::string& output_path) {
  File file;
  if (path == "-") {
    file = File(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3), "standard input");
    if (!file.is_open()) return file.system_error("open");
  } else {
    SLUICE_ASSIGN(file, File::open(path, O_RDONLY));
  }
  struct stat info = {};
  if (::fstat(file.fd(), &info) != 0) return file.system_error("read");
  if (S_ISDIR(info.st_mode))
    return Error{ErrorCode::kInvalid, "the input '" + path + "' is a directory; name a file"};
  if (S_ISREG(info.st_mode) && path != "-") return file;
  return copy_of(file, output_path);
}

// Where the text begins, or why it is not UTF-8.
Result<int64_t> skip_mark(std::string_view head, const std::string& path) {
  if (head.starts_with("\xEF\xBB\xBF")) return int64_t{3};
  if (head.starts_with("\xFF\xFE") || head.starts_with("\xFE\xFF") ||
      head.starts_with(std::string_view("\0\0\xFE\xFF", 4))) {
    return Error{ErrorCode::kInvalid,
                 "the input '" + path + "' is UTF-16 or UTF-32; convert it to UTF-8"};
  }
  return int64_t{0};
}

}  // namespace

Result<Input> open_input(const std::string& path, const std::string& output_path) {
  Input input;
  input.name = path;
  SLUICE_ASSIGN(input.file, open_regular(path, output_path));
  StreamHash hash;
  RequestCount count;
  std::vector<char> buffer(kCopyBytes);
  for (;;) {
    SLUICE_ASSIGN(const size_t got, input.file.read_at(input.bytes, buffer.data(), buffer.size()));
    std::string_view chunk(buffer.data(), got);
    hash.add(chunk);
    if (input.bytes == 0) {
      SLUICE_ASSIGN(input.first_offset, skip_mark(chunk, path));
      chunk.remove_prefix(static_cast<size_t>(input.first_offset));
    }
    count.add(chunk);
    input.bytes += static_cast<int64_t>(got);
    if (got < buffer.size()) break;
  }
  input.requests = count.total();
  input.identity = hash.digest();
  return input;
}

}  // namespace sluice::batch
