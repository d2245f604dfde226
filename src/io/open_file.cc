#include "io/open_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "base/units.h"
#include "io/reader.h"

namespace sluice::io {
namespace {

Error cannot_open(const std::filesystem::path& path) {
  const int error = errno;
  return {error == ENOENT || error == ENOTDIR ? ErrorCode::kNotFound : ErrorCode::kIo,
          "cannot open '" + path.string() + "' for reading: " + std::strerror(error)};
}

Error cannot_make(const std::filesystem::path& directory, int error) {
  const std::string what = "cannot make a file in '" + directory.string() + "': ";
  if (error == ENOENT || error == ENOTDIR) {
    return {ErrorCode::kNotFound, what + std::strerror(error)};
  }
  return {
      error == ENOSPC || error == EFBIG || error == EDQUOT ? ErrorCode::kNoRoom : ErrorCode::kIo,
      what + std::strerror(error)};
}

bool not_here(int error) {
  return error == EINVAL || error == ENOTSUP || error == EOPNOTSUPP || error == EISDIR;
}

// A file that has lost its name at once, where the system cannot make one without.
int make_and_unlink(const std::filesystem::path& directory) {
  std::string name = (directory / ".sluice-XXXXXX").string();
  const int fd = ::mkstemp(name.data());
  if (fd >= 0) ::unlink(name.c_str());
  return fd;
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
    } else if (!not_here(errno)) {
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

Result<OpenFile> make_scratch(const std::filesystem::path& directory, int64_t bytes,
                              bool want_direct, std::string& why_buffered) {
  const auto finish = [&](int fd, bool direct) -> Result<OpenFile> {
    OpenFile file(fd, directory, bytes, direct, true);
    const int error = take_room(fd, bytes);
    if (error == 0) return file;
    Error none = cannot_make(directory, error);
    if (none.code == ErrorCode::kNoRoom) {
      none.message += "; " + base::format_bytes(static_cast<double>(bytes)) + " are needed";
    }
    return none;
  };
  if (want_direct) {
    if (const int fd = open_nameless(directory.c_str(), true); fd >= 0) {
      if (direct_reads_work(fd)) return finish(fd, true);
      ::close(fd);
      errno = EINVAL;
    } else if (!not_here(errno)) {
      return cannot_make(directory, errno);
    }
    why_buffered = "a file in '" + directory.string() +
                   "' is used through the page cache: its file system refuses O_DIRECT (" +
                   std::strerror(errno) + ")";
  }
  int fd = open_nameless(directory.c_str(), false);
  if (fd < 0 && not_here(errno)) fd = make_and_unlink(directory);
  if (fd < 0) return cannot_make(directory, errno);
  return finish(fd, false);
}

}  // namespace sluice::io
