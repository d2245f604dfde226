#include "io/open_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "io/reader.h"

namespace sluice::io {
namespace {

Error cannot_open(const std::filesystem::path& path) {
  const int error = errno;
  return {error == ENOENT || error == ENOTDIR ? ErrorCode::kNotFound : ErrorCode::kIo,
          "cannot open '" + path.string() + "' for reading: " + std::strerror(error)};
}

// Some file systems take O_DIRECT and refuse the reads. What else may be wrong with the device is
// for the reads that matter to find.
bool direct_reads_work(int fd) {
  const std::unique_ptr<void, decltype(&std::free)> page(
      std::aligned_alloc(kDirectAlignment, kDirectAlignment), &std::free);
  if (page == nullptr) return true;
  return ::pread(fd, page.get(), kDirectAlignment, 0) >= 0 || errno != EINVAL;
}

Status check_kind(const std::filesystem::path& path, const struct stat& found) {
  if (S_ISREG(found.st_mode) || S_ISBLK(found.st_mode)) return {};
  return Error{ErrorCode::kInvalid, "'" + path.string() +
                                        "' is neither a regular file nor a block device: name a "
                                        "file that can be read at any offset"};
}

// The size, or -1 and errno. A block device tells it only through its end.
int64_t size_of(int fd, const struct stat& found) {
  return S_ISBLK(found.st_mode) ? ::lseek(fd, 0, SEEK_END) : found.st_size;
}

}  // namespace

OpenFile::~OpenFile() {
  if (fd_ >= 0) ::close(fd_);
}

Result<OpenFile> open_file(const std::filesystem::path& path, bool want_direct,
                           std::string& why_buffered) {
  // Opening a pipe would wait for its writer.
  struct stat found{};
  if (::stat(path.c_str(), &found) != 0) return cannot_open(path);
  SLUICE_TRY(check_kind(path, found));
  if (want_direct) {
    const int fd = open_direct(path.c_str());
    if (fd >= 0) {
      OpenFile file(fd, path, size_of(fd, found), true);
      if (direct_reads_work(fd)) return file;
      errno = EINVAL;
    } else if (errno != EINVAL && errno != ENOTSUP && errno != EOPNOTSUPP) {
      return cannot_open(path);
    }
    why_buffered = "'" + path.string() +
                   "' is read through the page cache: its file system refuses O_DIRECT (" +
                   std::strerror(errno) + ")";
  }
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return cannot_open(path);
  return OpenFile(fd, path, size_of(fd, found), false);
}

}  // namespace sluice::io
