#include "batch/replacement.h"

#include <fcntl.h>

#include <algorithm>

#include "base/check.h"

namespace sluice::batch {
namespace {

constexpr size_t kBlockBytes = size_t{1} << 20;

std::string path_beside(const std::string& path) { return path + ".retry"; }

}  // namespace

Result<Replacement> Replacement::begin(const File& old) {
  const std::string path = path_beside(old.path());
  SLUICE_TRY(remove_left_over(old.path(), old.faults()));
  SLUICE_ASSIGN(File file, File::open(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND, old.faults()));
  return Replacement(old, std::move(file));
}

Status Replacement::remove_left_over(const std::string& path, FileFaults* faults) {
  return remove_file(path_beside(path), faults);
}

Replacement::Replacement(Replacement&& other) noexcept
    : old_(other.old_),
      file_(std::move(other.file_)),
      buffer_(std::move(other.buffer_)),
      bytes_(other.bytes_) {}

Replacement::~Replacement() {
  if (file_.is_open()) (void)remove_file(file_.path(), file_.faults());
}

Status Replacement::copy(int64_t begin, int64_t end) {
  while (begin < end) {
    const size_t had = buffer_.size();
    const auto wanted = static_cast<size_t>(
        std::min<int64_t>(end - begin, static_cast<int64_t>(kBlockBytes - had)));
    buffer_.resize(had + wanted);
    SLUICE_ASSIGN(const size_t got, old_->read_at(begin, buffer_.data() + had, wanted));
    if (got < wanted) {
      return Error{ErrorCode::kIo,
                   "'" + old_->path() + "' has become shorter while it was read; start again"};
    }
    begin += static_cast<int64_t>(got);
    bytes_ += static_cast<int64_t>(got);
    if (buffer_.size() == kBlockBytes) SLUICE_TRY(flush());
  }
  return {};
}

Status Replacement::flush() {
  SLUICE_TRY(told(file_.write(buffer_)));
  buffer_.clear();
  return {};
}

Result<int64_t> Replacement::sync() {
  SLUICE_TRY(flush());
  SLUICE_TRY(told(file_.sync()));
  return bytes_;
}

// What a full disk was in the way of.
Status Replacement::told(const Status& status) const {
  if (status || status.error().code != ErrorCode::kNoRoom) return status;
  return Error{ErrorCode::kNoRoom,
               status.error().message + ": '" + old_->path() +
                   "' is as it was, and needs room for a copy beside it to take lines out"};
}

Result<File> Replacement::take_place() {
  SLUICE_CHECK(buffer_.empty(), "sync() comes before take_place()");
  const std::string path = old_->path();
  SLUICE_TRY(rename_file(file_.path(), path, file_.faults()));
  FileFaults* const faults = file_.faults();
  file_ = {};
  SLUICE_TRY(sync_directory_of(path, faults));
  return File::open(path, O_RDWR | O_APPEND, faults);
}

}  // namespace sluice::batch
