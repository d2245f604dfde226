#include "weights/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "base/rounding.h"

namespace sluice::weights {
namespace {

// A descriptor that closes itself.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

Error refused(const std::filesystem::path& path, const char* what) {
  const int why = errno;
  return {why == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
          path.string() + ": cannot be " + what + ": " + std::strerror(why)};
}

int64_t page_bytes() { return ::sysconf(_SC_PAGESIZE); }

}  // namespace

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  // O_NONBLOCK: a pipe in the place of a file is refused below instead of waited for.
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) return refused(path, "opened");
  struct stat status{};
  if (::fstat(file.fd, &status) != 0) return refused(path, "examined");
  if (!S_ISREG(status.st_mode))
    return Error{ErrorCode::kInvalid, path.string() + ": is not a regular file"};
  if (status.st_size == 0) return Error{ErrorCode::kCorrupt, path.string() + ": is empty"};
  const auto size = static_cast<size_t>(status.st_size);
  void* const data = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.fd, 0);
  if (data == MAP_FAILED) return refused(path, "mapped");
  return MappedFile(path, static_cast<const std::byte*>(data), size);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::prefetch(int64_t offset, int64_t bytes) const {
  SLUICE_CHECK(offset >= 0 && bytes >= 0 && offset <= this->bytes() - bytes, "inside the file");
  const int64_t begin = offset / page_bytes() * page_bytes();
  ::madvise(const_cast<std::byte*>(data_) + begin, static_cast<size_t>(offset + bytes - begin),
            MADV_WILLNEED);
}

void MappedFile::drop(int64_t offset, int64_t bytes) const {
  SLUICE_CHECK(offset >= 0 && bytes >= 0 && offset <= this->bytes() - bytes, "inside the file");
  const int64_t page = page_bytes();
  const int64_t begin = base::round_up(offset, page);
  const int64_t end = (offset + bytes) / page * page;
  if (end <= begin) return;
  ::madvise(const_cast<std::byte*>(data_) + begin, static_cast<size_t>(end - begin), MADV_DONTNEED);
}

bool MappedFile::cached(int64_t offset, int64_t bytes) const {
  SLUICE_CHECK(offset >= 0 && bytes >= 0 && offset <= this->bytes() - bytes, "inside the file");
  const int64_t page = page_bytes();
  const int64_t begin = offset / page * page, end = offset + bytes;
  std::array<unsigned char, 1024> there{};
  const auto step = static_cast<int64_t>(there.size()) * page;
  for (int64_t at = begin; at < end; at += step) {
    const int64_t some = std::min(step, end - at);
    auto* const address = const_cast<std::byte*>(data_) + at;
    if (::mincore(address, static_cast<size_t>(some), there.data()) != 0) return false;
    const auto pages = static_cast<ptrdiff_t>(base::div_up(some, page));
    if (!std::all_of(there.begin(), there.begin() + pages, [](auto in) { return (in & 1) != 0; }))
      return false;
  }
  return true;
}

void MappedFile::expect_random() const {
  ::madvise(const_cast<std::byte*>(data_), size_, MADV_RANDOM);
}

void MappedFile::expect_usual() const {
  ::madvise(const_cast<std::byte*>(data_), size_, MADV_NORMAL);
}

}  // namespace sluice::weights
