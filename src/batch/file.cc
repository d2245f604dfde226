#include "batch/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "batch/file_faults.h"

namespace sluice::batch {
namespace {

Error system_error_at(const char* what, const std::string& path, int code) {
  const bool full = code == ENOSPC || code == EDQUOT || code == EFBIG;
  return {full             ? ErrorCode::kNoRoom
          : code == ENOENT ? ErrorCode::kNotFound
                           : ErrorCode::kIo,
          std::string("cannot ") + what + " '" + path + "': " + std::strerror(code)};
}

std::string directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

File& File::operator=(File&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = other.fd_;
    path_ = std::move(other.path_);
    faults_ = other.faults_;
    other.fd_ = -1;
  }
  return *this;
}

File::~File() {
  if (fd_ >= 0) ::close(fd_);
}

Result<File> File::open(const std::string& path, int flags, FileFaults* faults) {
  if (faults != nullptr) {
    if (const int fault = faults->before_open(path); fault != 0)
      return system_error_at("open", path, fault);
  }
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
  if (fd < 0) return system_error_at("open", path, errno);
  return File(fd, path, faults);
}

Result<File> File::scratch(const std::string& beside) {
  const std::string pattern = directory_of(beside) + "/.sluice-XXXXXX";
  std::vector<char> name(pattern.begin(), pattern.end());
  name.push_back('\0');
  const int fd = ::mkostemp(name.data(), O_CLOEXEC);
  if (fd < 0) return system_error_at("create a scratch file in", directory_of(beside), errno);
  ::unlink(name.data());
  return File(fd, directory_of(beside) + "/(scratch)");
}

Result<int64_t> File::size() const {
  struct stat info = {};
  if (::fstat(fd_, &info) != 0) return system_error("read the size of");
  return static_cast<int64_t>(info.st_size);
}

Result<size_t> File::read_at(int64_t offset, char* data, size_t bytes) const {
  size_t done = 0;
  while (done < bytes) {
    const ssize_t got = ::pread(fd_, data + done, bytes - done,
                                static_cast<off_t>(offset) + static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error("read");
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

Status File::write(std::string_view bytes) const {
  int fault = 0;
  if (faults_ != nullptr) {
    size_t allowed = bytes.size();
    fault = faults_->before_write(path_, allowed);
    bytes = bytes.substr(0, allowed);
  }
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd_, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return system_error("write");
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  return fault == 0 ? Status() : system_error_at("write", path_, fault);
}

Status File::truncate(int64_t bytes) const {
  if (faults_ != nullptr) {
    if (const int fault = faults_->before_truncate(path_, bytes); fault != 0)
      return system_error_at("truncate", path_, fault);
  }
  if (::ftruncate(fd_, static_cast<off_t>(bytes)) != 0) return system_error("truncate");
  return {};
}

Status File::sync() const {
  if (faults_ != nullptr) {
    if (const int fault = faults_->before_sync(path_); fault != 0)
      return system_error_at("sync", path_, fault);
  }
  if (::fdatasync(fd_) != 0) return system_error("sync");
  return {};
}

Error File::system_error(const char* what) const { return system_error_at(what, path_, errno); }

Status rename_file(const std::string& from, const std::string& to, FileFaults* faults) {
  if (faults != nullptr) {
    if (const int fault = faults->before_rename(from, to); fault != 0)
      return system_error_at("replace", to, fault);
  }
  if (::rename(from.c_str(), to.c_str()) != 0) return system_error_at("replace", to, errno);
  return {};
}

Status remove_file(const std::string& path, FileFaults* faults) {
  if (faults != nullptr) {
    if (const int fault = faults->before_remove(path); fault != 0)
      return system_error_at("remove", path, fault);
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return system_error_at("remove", path, errno);
  return {};
}

Status sync_directory_of(const std::string& path, FileFaults* faults) {
  if (faults != nullptr) {
    if (const int fault = faults->before_sync_directory(path); fault != 0)
      return system_error_at("sync the directory of", path, fault);
  }
  SLUICE_ASSIGN(File directory, File::open(directory_of(path), O_RDONLY | O_DIRECTORY));
  // Some file systems cannot sync a directory; there is nothing better to do then.
  if (::fsync(directory.fd()) != 0 && errno != EINVAL) return directory.system_error("sync");
  return {};
}

}  // namespace sluice::batch
