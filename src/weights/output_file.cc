#include "weights/output_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace sluice::weights {
namespace {

Error failure(const char* what, const std::filesystem::path& path, int why) {
  const bool full = why == ENOSPC || why == EDQUOT || why == EFBIG;
  return {full            ? ErrorCode::kNoRoom
          : why == ENOENT ? ErrorCode::kNotFound
                          : ErrorCode::kIo,
          path.string() + ": cannot be " + what + ": " + std::strerror(why) +
              (full ? "; make room, and the same command goes on" : "")};
}

}  // namespace

OutputFile::OutputFile(OutputFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}

OutputFile& OutputFile::operator=(OutputFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(path_, other.path_);
  return *this;
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) ::close(fd_);
}

Error OutputFile::failed(const char* what) const { return failure(what, path_, errno); }

Result<OutputFile> OutputFile::open(const std::filesystem::path& path, int flags) {
  OutputFile file;
  file.path_ = path;
  file.fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | flags, 0644);
  if (file.fd_ < 0) return file.failed("opened");
  return file;
}

Status OutputFile::write_at(int64_t offset, std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return failed("written");
    bytes = bytes.subspan(static_cast<size_t>(put));
    offset += put;
  }
  return {};
}

Status OutputFile::append(std::string_view text) const {
  SLUICE_ASSIGN(const int64_t end, size());
  return write_at(end, std::as_bytes(std::span(text)));
}

Result<int64_t> OutputFile::read_at(int64_t offset, std::span<std::byte> into) const {
  int64_t done = 0;
  while (!into.empty()) {
    const ssize_t got = ::pread(fd_, into.data(), into.size(), static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("read");
    if (got == 0) break;
    into = into.subspan(static_cast<size_t>(got));
    done += got;
  }
  return done;
}

Result<std::string> OutputFile::read_all() const {
  SLUICE_ASSIGN(const int64_t bytes, size());
  std::string text(static_cast<size_t>(bytes), '\0');
  SLUICE_ASSIGN(const int64_t got, read_at(0, std::as_writable_bytes(std::span(text))));
  text.resize(static_cast<size_t>(got));
  return text;
}

Result<int64_t> OutputFile::size() const {
  struct stat info = {};
  if (::fstat(fd_, &info) != 0) return failed("examined");
  return static_cast<int64_t>(info.st_size);
}

Status OutputFile::resize(int64_t bytes) const {
  if (::ftruncate(fd_, static_cast<off_t>(bytes)) != 0) return failed("resized");
  return {};
}

Status OutputFile::sync() const {
  if (::fdatasync(fd_) != 0) return failed("synced");
  return {};
}

void OutputFile::give_back(int64_t offset, int64_t bytes) const {
  ::posix_fadvise(fd_, static_cast<off_t>(offset), static_cast<off_t>(bytes), POSIX_FADV_DONTNEED);
}

Result<bool> OutputFile::lock() const {
  if (::flock(fd_, LOCK_EX | LOCK_NB) == 0) return true;
  if (errno == EWOULDBLOCK) return false;
  return failed("locked");
}

bool OutputFile::still_named() const {
  struct stat held = {}, named = {};
  return ::fstat(fd_, &held) == 0 && ::stat(path_.c_str(), &named) == 0 &&
         held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

Status write_durable(const std::filesystem::path& path, std::string_view text) {
  SLUICE_ASSIGN(const OutputFile file, OutputFile::open(path, O_TRUNC));
  SLUICE_TRY(file.append(text));
  return file.sync();
}

Status sync_directory(const std::filesystem::path& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return failure("opened", directory, errno);
  const bool synced = ::fsync(fd) == 0;
  const int why = errno;
  ::close(fd);
  // Some file systems cannot sync a directory; there is nothing better to do then.
  if (synced || why == EINVAL) return {};
  return failure("synced", directory, why);
}

}  // namespace sluice::weights
