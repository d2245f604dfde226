// Parts of files, one after the other, in memory of a fixed size: the disk is kept busy with those
// to come while the caller works on one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "io/reader.h"

namespace sluice::io {

// `bytes` bytes, at least one, from `offset` of a file.
struct Extent {
  int file = 0;  // index into the files of the stream
  int64_t offset = 0;
  int64_t bytes = 0;
  bool operator==(const Extent&) const = default;
};

struct ReadStreamOptions {
  // Of all buffers together; more if that is not room for two of the largest extents.
  int64_t buffer_bytes = int64_t{64} << 20;
  int64_t timeout_ms = 60'000;  // a disk that answers nothing for so long has failed
  std::optional<Backend> backend;
  bool direct = true;
  Faults* faults = nullptr;  // borrowed, outlives the stream
};

// One thread owns it.
class ReadStream {
 public:
  // Opens the files and starts to read. Errors: what Reader::open and Reader::create say; kNoRoom,
  // no memory for the buffers.
  static Result<std::unique_ptr<ReadStream>> open(std::span<const std::filesystem::path> files,
                                                  std::vector<Extent> extents,
                                                  const ReadStreamOptions& options = {});
  ~ReadStream();
  ReadStream(const ReadStream&) = delete;
  ReadStream& operator=(const ReadStream&) = delete;

  // The next extent's bytes, in the order of `extents`; waits for them. The stream keeps owning
  // them, and they stay until the next call. Errors: those of Completion; kTimeout.
  Result<std::span<const std::byte>> next();

 private:
  struct Buffer {
    std::byte* data = nullptr;
    int64_t skip = 0;  // bytes before the extent's first: direct reads begin at whole sectors
    bool ready = false;
    Status status;  // of the read, once it is ready
  };

  ReadStream(std::vector<Extent> extents, const ReadStreamOptions& options)
      : extents_(std::move(extents)), options_(options) {}
  Status open_files(std::span<const std::filesystem::path> files);
  Status reserve();
  Status submit_while_room();
  Buffer& buffer_of(size_t extent) { return buffers_[extent % buffers_.size()]; }

  std::vector<Extent> extents_;
  ReadStreamOptions options_;
  std::vector<FileId> files_;
  std::vector<int64_t> file_bytes_;
  std::vector<Buffer> buffers_;
  std::byte* memory_ = nullptr;
  size_t memory_bytes_ = 0;
  size_t taken_ = 0, submitted_ = 0;  // extents given out, and asked for
  std::unique_ptr<Reader> reader_;    // the last: it ends before the memory that it writes to
};

}  // namespace sluice::io
