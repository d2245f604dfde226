#include "models/engine_load.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <vector>

#include "base/rounding.h"
#include "io/reader.h"
#include "models/read_ahead.h"
#include "weights/checksum.h"
#include "weights/engine_manifest.h"

namespace sluice::models {
namespace {

constexpr int64_t kChunkBytes = int64_t{8} << 20;   // of one request
constexpr int64_t kBatchBytes = int64_t{16} << 20;  // made ready at a time, by all threads
constexpr int64_t kAheadBytes = int64_t{64} << 20;  // under way, before another batch is begun
constexpr int64_t kPieceBytes = int64_t{1} << 20;   // for one thread
constexpr int64_t kPageBytes = 4096;
constexpr int kQueueDepth = 32;
// Bytes are not the only cost of a request; of the smallest ones no more are out than this allows.
constexpr int64_t kLeastBytes = int64_t{64} << 10;
constexpr int64_t kMaxRequests = (kAheadBytes + kBatchBytes + kChunkBytes) / kLeastBytes;
constexpr int64_t kTimeoutMs = 60'000;  // a disk that answers nothing for so long has failed

struct Chunk {
  size_t part = 0;
  int64_t begin = 0, bytes = 0;  // in the part
  int64_t cost() const { return std::max(bytes, kLeastBytes); }
};

class EngineLoad {
 public:
  EngineLoad(std::span<const EnginePart> parts, std::span<const weights::MappedFile> files,
             base::ThreadTeam& team)
      : parts_(parts), files_(files), team_(team) {}

  Status load(const LoadOptions& options, const std::function<Error(size_t)>& damaged);

 private:
  Status open(const LoadOptions& options);
  bool more() const { return next_ < chunks_.size() && out_ < kAheadBytes; }
  Status begin_batch();
  void prefetch(const Chunk& chunk) const;
  void make_ready(const Chunk& chunk, int64_t begin, int64_t bytes) const;
  Status submit(size_t chunk);
  Status collect();
  void finish(const Chunk& chunk);

  std::span<const EnginePart> parts_;
  std::span<const weights::MappedFile> files_;
  base::ThreadTeam& team_;
  std::vector<bool> mapped_;   // by part: copied from the mapping
  std::vector<int64_t> left_;  // by part: bytes that are not there yet
  std::vector<Chunk> chunks_;
  std::unique_ptr<io::Reader> reader_;  // null: everything is copied
  size_t next_ = 0;                     // the first chunk that was not begun
  int64_t out_ = 0;                     // cost of the chunks that are being read
  std::vector<size_t> arrived_;         // parts to check
  ReadAhead ahead_;
};

Status EngineLoad::open(const LoadOptions& options) {
  const auto most = static_cast<size_t>(io::kMaxFiles);
  bool reads = false;
  for (size_t i = 0; i < parts_.size(); ++i) {
    const EnginePart& part = parts_[i];
    const auto file = static_cast<size_t>(part.file);
    mapped_.push_back(file >= most ||
                      (options.from_page_cache && files_[file].cached(part.offset, part.bytes)));
    reads = reads || !mapped_.back();
    left_.push_back(part.bytes);
    for (int64_t at = 0; at < part.bytes; at += kChunkBytes)
      chunks_.push_back({i, at, std::min(kChunkBytes, part.bytes - at)});
  }
  std::vector<int64_t> ends;
  int64_t total = 0;
  for (const Chunk& chunk : chunks_) ends.push_back(total += chunk.bytes);
  ahead_ = ReadAhead(std::move(ends));
  if (!reads) return {};
  SLUICE_ASSIGN(reader_, io::Reader::create({.queue_depth = kQueueDepth,
                                             .max_requests = kMaxRequests,
                                             .faults = options.faults}));
  for (size_t i = 0; i < std::min(files_.size(), most); ++i) {
    if (auto opened = reader_->open(files_[i].path()); !opened) return opened.error();
  }
  return {};
}

// A mapping may be of a file that is not cached: see MappedFile::cached().
void EngineLoad::prefetch(const Chunk& chunk) const {
  const EnginePart& part = parts_[chunk.part];
  if (mapped_[chunk.part])
    files_[static_cast<size_t>(part.file)].prefetch(part.offset + chunk.begin, chunk.bytes);
}

// Pages of memory that were never touched are made by the kernel one after the other when a read
// pins them; the team makes them faster. Or copies.
void EngineLoad::make_ready(const Chunk& chunk, int64_t begin, int64_t bytes) const {
  const EnginePart& part = parts_[chunk.part];
  std::byte* const into = part.into + chunk.begin + begin;
  if (mapped_[chunk.part]) {
    const std::byte* const from = files_[static_cast<size_t>(part.file)].data().data();
    std::memcpy(into, from + part.offset + chunk.begin + begin, static_cast<size_t>(bytes));
    return;
  }
  for (int64_t at = 0; at < bytes; at += kPageBytes) into[at] = std::byte{0};
}

Status EngineLoad::begin_batch() {
  struct Piece {
    const Chunk* chunk;
    int64_t begin, bytes;
  };
  std::vector<Piece> pieces;
  const size_t first = next_;
  for (int64_t bytes = 0; next_ < chunks_.size() && bytes < kBatchBytes; ++next_) {
    const Chunk& chunk = chunks_[next_];
    bytes += chunk.cost();
    ahead_.reach(next_, [&](size_t next) { prefetch(chunks_[next]); });
    for (int64_t at = 0; at < chunk.bytes; at += kPieceBytes)
      pieces.push_back({&chunk, at, std::min(kPieceBytes, chunk.bytes - at)});
  }
  team_.parallel_for(static_cast<int64_t>(pieces.size()), [&](int64_t i) {
    const Piece& piece = pieces[static_cast<size_t>(i)];
    make_ready(*piece.chunk, piece.begin, piece.bytes);
  });
  for (size_t i = first; i < next_; ++i) {
    if (mapped_[chunks_[i].part]) {
      finish(chunks_[i]);
    } else {
      SLUICE_TRY(submit(i));
    }
  }
  return {};
}

Status EngineLoad::submit(size_t index) {
  const Chunk& chunk = chunks_[index];
  const EnginePart& part = parts_[chunk.part];
  out_ += chunk.cost();
  return reader_->submit({part.file, part.offset + chunk.begin,
                          base::round_up(chunk.bytes, weights::kEngineAlignment),
                          part.into + chunk.begin, index});
}

void EngineLoad::finish(const Chunk& chunk) {
  left_[chunk.part] -= chunk.bytes;
  if (left_[chunk.part] == 0) arrived_.push_back(chunk.part);
}

Status EngineLoad::collect() {
  if (out_ == 0) return {};
  io::Completion ended[32];
  const size_t count = reader_->wait(ended, more() || !arrived_.empty() ? 0 : kTimeoutMs);
  if (count == 0 && !more() && arrived_.empty()) {
    return Error{ErrorCode::kTimeout, "the disk has answered no read for " +
                                          std::to_string(kTimeoutMs / 1000) +
                                          " s; check it, and try again"};
  }
  for (const io::Completion& completion : std::span(ended, count)) {
    if (!completion.status) return completion.status.error();
    const Chunk& chunk = chunks_[static_cast<size_t>(completion.user)];
    out_ -= chunk.cost();
    finish(chunk);
  }
  return {};
}

Status EngineLoad::load(const LoadOptions& options, const std::function<Error(size_t)>& damaged) {
  SLUICE_TRY(open(options));
  int64_t done = 0, total = 0;
  for (const EnginePart& part : parts_) total += part.bytes;
  while (done < total) {
    if (more()) SLUICE_TRY(begin_batch());
    SLUICE_TRY(collect());
    std::atomic<size_t> wrong = SIZE_MAX;
    team_.parallel_for(static_cast<int64_t>(arrived_.size()), [&](int64_t i) {
      const size_t part = arrived_[static_cast<size_t>(i)];
      const std::span<const std::byte> bytes(parts_[part].into,
                                             static_cast<size_t>(parts_[part].bytes));
      if (weights::crc32c(bytes) != parts_[part].crc32c) wrong = part;
    });
    if (wrong != SIZE_MAX) return damaged(wrong);
    for (const size_t part : arrived_) {
      const EnginePart& at = parts_[part];
      done += at.bytes;
      if (mapped_[part]) files_[static_cast<size_t>(at.file)].drop(at.offset, at.bytes);
    }
    arrived_.clear();
    if (options.progress) options.progress(done, total);
  }
  return {};
}

}  // namespace

Status load_engine(std::span<const EnginePart> parts, std::span<const weights::MappedFile> files,
                   base::ThreadTeam& team, const LoadOptions& options,
                   const std::function<Error(size_t)>& damaged) {
  return EngineLoad(parts, files, team).load(options, damaged);
}

}  // namespace sluice::models
