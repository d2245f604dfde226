// Keys and values whose home is a scratch file: what the disk lane reads into a window before a
// micro-batch attends over a layer, and writes afterwards of blocks that have become full.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/lane_times.h"
#include "engine/streamed_kv.h"
#include "io/reader.h"
#include "pipeline/task_runner.h"

namespace sluice::engine {

// A read or write that failed may succeed the next time; what is wrong twice is wrong on the disk.
inline constexpr int kDiskTries = 3;

// A block is read and written whole, each layer's part by itself, and is checked when it is read by
// the sum of what was written. A request that fails is tried again a few times, at once; then the
// task fails, when all its other requests have ended. Of the lane's thread, but for what says so.
class DiskKv {
 public:
  using Start = pipeline::AsyncTaskRunner::Start;
  using Ended = pipeline::AsyncTaskRunner::Ended;

  struct Options {
    io::Reader* reader = nullptr;  // all are borrowed
    LaneTimes* times = nullptr;
    const base::Clock* clock = nullptr;
    uint64_t first_request = 0;                 // the number of the first of its requests
    std::chrono::milliseconds timeout{60'000};  // kTimeout for a task that has waited longer
  };
  // Makes the file in `directory`. Errors: those of Reader::open_scratch.
  static Result<std::unique_ptr<DiskKv>> create(StreamedKv& kv, const Options& options,
                                                const std::filesystem::path& directory);
  // Requests out at a time, at most: their `user`s are so many numbers from first_request on.
  static int64_t most_requests(const StreamedKv& kv);

  // Tasks of a layer of a micro-batch's part: full blocks come, before it is attended over; and go.
  // `planned`: its time counts as work. kStarted: the task waits for the window's number as its
  // page.
  Result<Start> arrive(size_t flight, int layer, bool planned, int part = 0);
  Result<Start> leave(size_t flight, int layer, bool planned, int part = 0);
  uint32_t window_of(size_t flight, int layer, int part = 0) const {
    return static_cast<uint32_t>(kv_.windows().of(flight, layer, part));
  }
  // A request has ended. If it was the last one of a task that somebody waits for: that task's
  // window, and how it ended.
  std::optional<std::pair<uint32_t, Status>> finish(uint64_t user, const Status& status);
  // Nobody waits for the window's task any more; its requests go on.
  void give_up(uint32_t window);
  // Until when a task waits for moves that were given up; none: none does.
  std::optional<base::Clock::time_point> waits_until() const { return waits_until_; }
  int outlived() const;                     // tasks given up, of which requests are still out
  bool moving() const;                      // requests are out
  std::string name(uint32_t window) const;  // "keys and values of layer 3"

  // From any thread. The block for want of which a task of this micro-batch's iteration failed, the
  // first; and whether a block's last request failed, in any layer.
  void begin_iteration(size_t flight);
  std::optional<int32_t> failed_block(size_t flight) const;
  bool doubtful(int32_t block) const;
  int64_t bytes_read() const { return read_; }
  int64_t bytes_written() const { return written_; }
  int64_t retries() const { return retries_; }

 private:
  struct Item {
    int32_t block = 0;
    std::byte* place = nullptr;
    uint32_t sum = 0;  // of a write
    int tries = 0;
    bool out = false;
  };
  // In a window.
  struct Move {
    bool writes = false, given_up = false, planned = false;
    size_t flight = 0;
    int layer = 0, part = 0;
    int64_t out = 0;
    std::optional<Error> error{};
  };

  DiskKv(StreamedKv& kv, const Options& options, io::FileId file);
  uint32_t begin(const Move& move);
  void add(uint32_t window, int32_t block, std::byte* place);
  Start submit_all(uint32_t window);
  bool submit(uint32_t window, Item& item);
  Status check(const Move& move, const Item& item) const;
  void note(Move& move, const Item& item, const Status& status);
  std::optional<std::pair<uint32_t, Status>> conclude(uint32_t window);
  void end_work(Move& move);
  void fail_for(size_t flight, int32_t block);
  template <class Blocks, class Number>
  std::optional<int32_t> late_block(int layer, const Blocks& blocks, Number number) const;
  Result<Start> wait_or(const std::string& what, const std::string& why);
  Result<Start> wait_for_write(size_t flight, int32_t block, int layer);
  int64_t number_of(int32_t block, int layer) const;

  StreamedKv& kv_;
  io::Reader& reader_;
  LaneTimes& times_;
  const base::Clock& clock_;
  const std::chrono::milliseconds timeout_;
  const io::FileId file_;
  const int64_t home_blocks_;
  const uint64_t first_;
  std::vector<uint32_t> sums_;            // [layer][block - resident], of what was written last
  std::vector<Move> moves_;               // [window]
  std::vector<std::vector<Item>> items_;  // [window]
  std::optional<base::Clock::time_point> waits_until_;
  std::set<std::pair<int, int32_t>> late_;  // (layer, block) with a write that was given up
  mutable std::mutex mutex_;
  std::vector<std::optional<int32_t>> failed_;  // [flight]
  std::set<std::pair<int32_t, int>> doubtful_;  // (block, layer)
  std::atomic<int64_t> read_{0}, written_{0}, retries_{0};
};

}  // namespace sluice::engine
