#include "io/read_stream.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/units.h"

namespace sluice::io {
namespace {

constexpr int kQueueDepth = 32;
constexpr int64_t kReadBytes = int64_t{1} << 20;
constexpr int64_t kHugePage = int64_t{2} << 20;
constexpr int64_t kMaxStreamBuffers = 256;

int64_t down(int64_t value, int64_t to) { return value / to * to; }
int64_t up(int64_t value, int64_t to) { return down(value + to - 1, to); }

// What is read for an extent, whatever the file: whole sectors.
int64_t sectors(const Extent& extent) {
  return up(extent.offset + extent.bytes, kDirectAlignment) - down(extent.offset, kDirectAlignment);
}

}  // namespace

Result<std::unique_ptr<ReadStream>> ReadStream::open(std::span<const std::filesystem::path> files,
                                                     std::vector<Extent> extents,
                                                     const ReadStreamOptions& options) {
  std::unique_ptr<ReadStream> stream(new ReadStream(std::move(extents), options));
  SLUICE_TRY(stream->reserve());
  SLUICE_ASSIGN(stream->reader_, Reader::create({.backend = options.backend,
                                                 .queue_depth = kQueueDepth,
                                                 .read_bytes = kReadBytes,
                                                 .direct = options.direct,
                                                 .max_requests = kMaxStreamBuffers,
                                                 .faults = options.faults}));
  SLUICE_TRY(stream->open_files(files));
  if (stream->memory_ != nullptr)
    SLUICE_TRY(stream->reader_->register_memory({stream->memory_, stream->memory_bytes_}));
  SLUICE_TRY(stream->submit_while_room());
  return stream;
}

ReadStream::~ReadStream() {
  reader_.reset();
  if (memory_ != nullptr) ::munmap(memory_, memory_bytes_);
}

Status ReadStream::open_files(std::span<const std::filesystem::path> files) {
  for (const std::filesystem::path& path : files) {
    SLUICE_ASSIGN(const FileId id, reader_->open(path));
    files_.push_back(id);
    std::error_code failed;
    file_bytes_.push_back(static_cast<int64_t>(std::filesystem::file_size(path, failed)));
    if (failed) {
      return Error{ErrorCode::kIo, "cannot examine '" + path.string() + "': " + failed.message()};
    }
  }
  for (const Extent& extent : extents_) {
    SLUICE_CHECK(extent.file >= 0 && static_cast<size_t>(extent.file) < files_.size() &&
                     extent.offset >= 0 && extent.bytes > 0,
                 "an extent lies in one of the stream's files");
  }
  return {};
}

Status ReadStream::reserve() {
  if (extents_.empty()) return {};
  int64_t largest = 0;
  for (const Extent& extent : extents_) largest = std::max(largest, sectors(extent));
  const auto wanted = static_cast<int64_t>(extents_.size()) + 1;
  const int64_t count = std::clamp(options_.buffer_bytes / largest, int64_t{2},
                                   std::min(std::max(wanted, int64_t{2}), kMaxStreamBuffers));
  memory_bytes_ = static_cast<size_t>(up(count * largest, kHugePage));
  void* const mapped =
      ::mmap(nullptr, memory_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) {
    return Error{ErrorCode::kNoRoom, "no memory to read files into: " +
                                         base::format_bytes(static_cast<double>(memory_bytes_)) +
                                         " are needed"};
  }
  memory_ = static_cast<std::byte*>(mapped);
  (void)::madvise(mapped, memory_bytes_, MADV_HUGEPAGE);
  for (int64_t i = 0; i < count; ++i) buffers_.push_back({.data = memory_ + i * largest});
  return {};
}

// The buffer of the extent that was given out last stays its caller's.
Status ReadStream::submit_while_room() {
  const size_t kept = taken_ == 0 ? 0 : taken_ - 1;
  while (submitted_ < extents_.size() && submitted_ - kept < buffers_.size()) {
    const Extent& extent = extents_[submitted_];
    const auto file = static_cast<size_t>(extent.file);
    const int64_t begin = down(extent.offset, kDirectAlignment);
    const int64_t whole = up(extent.offset + extent.bytes, kDirectAlignment);
    // A file that has become too short is told by the read that finds its end.
    const bool last =
        whole > file_bytes_[file] && extent.offset + extent.bytes <= file_bytes_[file];
    const int64_t end = last ? file_bytes_[file] : whole;
    Buffer& buffer = buffer_of(submitted_);
    buffer.skip = extent.offset - begin;
    buffer.ready = false;
    buffer.status = {};
    SLUICE_TRY(reader_->submit(
        {files_[file], begin, end - begin, buffer.data, static_cast<uint64_t>(submitted_)}));
    ++submitted_;
  }
  return {};
}

Result<std::span<const std::byte>> ReadStream::next() {
  SLUICE_CHECK(taken_ < extents_.size(), "the stream has another extent");
  ++taken_;
  SLUICE_TRY(submit_while_room());
  Buffer& buffer = buffer_of(taken_ - 1);
  while (!buffer.ready) {
    Completion ended[16];
    const size_t count = reader_->wait(ended, options_.timeout_ms);
    if (count == 0) {
      return Error{ErrorCode::kTimeout, "the disk has answered no read for " +
                                            std::to_string(options_.timeout_ms / 1000) +
                                            " s; check it, and try again"};
    }
    for (const Completion& completion : std::span(ended, count)) {
      Buffer& ended_one = buffer_of(static_cast<size_t>(completion.user));
      ended_one.ready = true;
      ended_one.status = completion.status;
    }
  }
  // An extent that failed is told in its turn: those before it may be good.
  if (!buffer.status) return buffer.status.error();
  const Extent& extent = extents_[taken_ - 1];
  return std::span<const std::byte>(buffer.data + buffer.skip, static_cast<size_t>(extent.bytes));
}

}  // namespace sluice::io
