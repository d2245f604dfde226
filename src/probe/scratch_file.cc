#include "probe/scratch_file.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/units.h"

namespace sluice::probe {
namespace {

constexpr int64_t kBlockBytes = int64_t{32} << 20;  // written, and brought to the disk, at a time

Error cannot_write(const std::filesystem::path& path) {
  const int error = errno;
  return {error == ENOSPC || error == EDQUOT ? ErrorCode::kNoRoom : ErrorCode::kIo,
          "cannot write a file to measure the disk with, '" + path.string() +
              "': " + std::strerror(error) + "; name a directory where it can be written"};
}

Status check_room(const std::filesystem::path& directory, int64_t bytes) {
  struct statvfs room{};
  if (::statvfs(directory.c_str(), &room) != 0) return cannot_write(directory);
  const double free_bytes = static_cast<double>(room.f_bavail) * static_cast<double>(room.f_frsize);
  if (free_bytes >= static_cast<double>(bytes)) return {};
  return Error{ErrorCode::kNoRoom, "measuring the disk under '" + directory.string() + "' takes " +
                                       base::format_bytes(static_cast<double>(bytes)) + ", and " +
                                       base::format_bytes(free_bytes) +
                                       " are free; make room, or name another directory"};
}

// No disk or file system can compress it, or find it twice.
void fill(std::vector<uint64_t>& block, uint64_t& state) {
  for (uint64_t& word : block) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    word = state * 0x2545f4914f6cdd1du;
  }
}

bool write_all(int fd, const std::vector<uint64_t>& block, int64_t bytes) {
  const char* from = reinterpret_cast<const char*>(block.data());
  while (bytes > 0) {
    const auto wrote = ::write(fd, from, static_cast<size_t>(bytes));
    if (wrote < 0 && errno != EINTR) return false;
    from += std::max<int64_t>(wrote, 0);
    bytes -= std::max<int64_t>(wrote, 0);
  }
  return ::fdatasync(fd) == 0;
}

}  // namespace

Result<ScratchFile> ScratchFile::write(const std::filesystem::path& directory, int64_t bytes,
                                       int64_t time_ms) {
  SLUICE_TRY(check_room(directory, bytes));
  std::string path = (directory / ".sluice-probe-XXXXXX").string();
  const int fd = ::mkstemp(path.data());
  if (fd < 0) return cannot_write(path);
  ScratchFile file(path, fd);
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::milliseconds(time_ms);
  std::vector<uint64_t> block(static_cast<size_t>(kBlockBytes) / sizeof(uint64_t));
  auto state =
      static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()) | 1;
  while (file.bytes_ < bytes) {
    fill(block, state);
    const int64_t now = std::min(kBlockBytes, bytes - file.bytes_);
    if (!write_all(fd, block, now)) return cannot_write(path);
    file.bytes_ += now;
    if (std::chrono::steady_clock::now() > give_up) break;
  }
  file.drop_from_page_cache();
  return file;
}

void ScratchFile::drop_from_page_cache() const {
  (void)::posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED);
}

void ScratchFile::remove() {
  if (!path_.empty()) ::unlink(path_.c_str());
  path_.clear();
}

ScratchFile::~ScratchFile() {
  remove();
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace sluice::probe
