#include "probe/disk_read.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <tuple>

#include "probe/scratch_file.h"

namespace sluice::probe {
namespace {

using Clock = std::chrono::steady_clock;
using hardware::DiskRate;

constexpr int64_t kRequestBytes[] = {64 << 10, 256 << 10, 1 << 20, 4 << 20};
constexpr int kDepths[] = {1, 2, 4, 8, 16, 32};
constexpr int64_t kPoints = std::size(kRequestBytes) * std::size(kDepths);
constexpr int64_t kMemoryBytes = kRequestBytes[std::size(kRequestBytes) - 1] * 32;
constexpr double kNearBest = 0.97;
constexpr int64_t kReadTimeoutMs = 30'000;  // a disk that answers no read for so long has failed

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Reads a file from end to end, over and over, with so many requests out.
class Rounds {
 public:
  Rounds(io::Reader& reader, io::FileId file, const ScratchFile& scratch, std::byte* memory)
      : reader_(reader), file_(file), scratch_(scratch), memory_(memory) {}

  // For so long, but at least once each; of a file that is not direct at most one pass, because
  // the second would read memory.
  Result<DiskRate> measure(int64_t request_bytes, int depth, double seconds) {
    request_bytes = std::min(request_bytes, scratch_.bytes());
    scratch_.drop_from_page_cache();
    at_ = 0;
    int64_t submitted = 0, finished = 0;
    const int64_t most = reader_.direct(file_) ? INT64_MAX : scratch_.bytes() / request_bytes;
    const auto start = Clock::now();
    for (; submitted < std::min<int64_t>(depth, most); ++submitted) {
      SLUICE_TRY(submit(request_bytes, static_cast<uint64_t>(submitted)));
    }
    while (finished < submitted) {
      io::Completion ended[32];
      const size_t count = reader_.wait(ended, kReadTimeoutMs);
      if (count == 0) return too_slow();
      for (size_t i = 0; i < count; ++i) {
        if (!ended[i].status) return ended[i].status.error();
        ++finished;
        if (submitted == most || seconds_since(start) >= seconds) continue;
        SLUICE_TRY(submit(request_bytes, ended[i].user));
        ++submitted;
      }
    }
    const double bytes = static_cast<double>(finished) * static_cast<double>(request_bytes);
    return DiskRate{request_bytes, depth, bytes / seconds_since(start)};
  }

 private:
  Status submit(int64_t bytes, uint64_t place) {
    if (at_ + bytes > scratch_.bytes()) at_ = 0;
    std::byte* into = memory_ + static_cast<int64_t>(place) * bytes;
    SLUICE_TRY(reader_.submit({file_, at_, bytes, into, place}));
    at_ += bytes;
    return {};
  }

  Error too_slow() const {
    return {ErrorCode::kTimeout, "the disk has answered no read for " +
                                     std::to_string(kReadTimeoutMs / 1000) +
                                     " s; check it, or measure another"};
  }

  io::Reader& reader_;
  io::FileId file_;
  const ScratchFile& scratch_;
  std::byte* memory_;
  int64_t at_ = 0;
};

// Sizes and depths are tried until the time is up; the first in any case.
Result<std::vector<DiskRate>> measure_grid(Rounds& rounds, Clock::time_point end) {
  std::vector<DiskRate> rates;
  // Large reads first: where time is short, the best is found all the same.
  for (size_t size = std::size(kRequestBytes); size-- > 0;) {
    for (int depth : kDepths) {
      const double left = -seconds_since(end);
      if (left <= 0.0 && !rates.empty()) return rates;
      const double slice = left / static_cast<double>(kPoints - static_cast<int64_t>(rates.size()));
      SLUICE_ASSIGN(const DiskRate rate, rounds.measure(kRequestBytes[size], depth, slice));
      rates.push_back(rate);
    }
  }
  return rates;
}

}  // namespace

DiskRate choose(std::span<const DiskRate> rates) {
  SLUICE_CHECK(!rates.empty(), "there is a rate to choose");
  const double best = std::ranges::max(rates, {}, &DiskRate::bytes_per_second).bytes_per_second;
  const auto worth = [&](const DiskRate& rate) {
    const bool far = rate.bytes_per_second < kNearBest * best;
    return std::tuple(far, rate.request_bytes * rate.queue_depth, rate.queue_depth);
  };
  return std::ranges::min(rates, {}, worth);
}

Result<DiskReadRates> measure_disk_read(const DiskReadOptions& options) {
  const auto end = Clock::now() + std::chrono::milliseconds(options.time_ms);
  std::error_code error;
  const auto directory = std::filesystem::canonical(options.directory, error);
  if (error || !std::filesystem::is_directory(directory, error)) {
    return Error{ErrorCode::kInvalid, "'" + options.directory.string() +
                                          "' is not a directory; name one on the disk to measure"};
  }
  const int64_t file_bytes =
      std::max(options.file_bytes / io::kDirectAlignment, int64_t{1}) * io::kDirectAlignment;
  SLUICE_ASSIGN(ScratchFile scratch,
                ScratchFile::write(directory, file_bytes, options.time_ms * 3 / 8));
  const std::unique_ptr<std::byte, decltype(&std::free)> memory(
      static_cast<std::byte*>(std::aligned_alloc(io::kDirectAlignment, kMemoryBytes)), &std::free);
  if (memory == nullptr) {
    return Error{ErrorCode::kNoRoom, "no memory to read the disk into: 128 MiB are needed"};
  }
  // One reader for all depths: with no more requests out than it starts at once, each is one read.
  SLUICE_ASSIGN(const auto reader,
                io::Reader::create({.backend = options.backend,
                                    .queue_depth = kDepths[std::size(kDepths) - 1],
                                    .read_bytes = kRequestBytes[std::size(kRequestBytes) - 1]}));
  SLUICE_ASSIGN(const io::FileId file, reader->open(scratch.path()));
  scratch.remove();
  SLUICE_TRY(reader->register_memory({memory.get(), kMemoryBytes}));
  Rounds rounds(*reader, file, scratch, memory.get());
  DiskReadRates measured;
  SLUICE_ASSIGN(measured.rates, measure_grid(rounds, end));
  std::ranges::sort(measured.rates, {}, [](const DiskRate& rate) {
    return std::tuple(rate.request_bytes, rate.queue_depth);
  });
  measured.chosen = choose(measured.rates);
  measured.directory = directory.string();
  measured.notes = reader->notes();
  measured.method = std::string(io::name(reader->backend())) +
                    (reader->direct(file) ? ", direct" : ", page cache");
  struct statvfs room{};
  if (::statvfs(directory.c_str(), &room) == 0) {
    measured.capacity_bytes = static_cast<int64_t>(room.f_blocks * room.f_frsize);
  }
  return measured;
}

void set_disk(hardware::Hardware& hardware, const DiskReadRates& rates) {
  hardware::Level disk;
  disk.name = "disk";
  disk.kind = hardware::LevelKind::kDisk;
  disk.capacity_bytes = rates.capacity_bytes;
  disk.read_bytes_per_second = rates.chosen.bytes_per_second;
  disk.disk_reads = hardware::DiskReads{rates.chosen.request_bytes, rates.chosen.queue_depth,
                                        rates.method, rates.directory, rates.rates};
  if (hardware.source != hardware::Source::kMeasured) {
    for (const char* field : {"capacity_bytes", "read_bytes_per_second", "disk_reads"})
      disk.sources[field] = hardware::Source::kMeasured;
  }
  for (hardware::Level& level : hardware.levels) {
    if (level.name != disk.name) continue;
    level = disk;
    return;
  }
  hardware.levels.push_back(disk);
}

}  // namespace sluice::probe
