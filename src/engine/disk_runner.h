// The disk lane: brings pages of experts, and rows of the token embedding, from where the model's
// weights come from to their places; and moves keys and values between memory and disk.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "engine/disk_kv.h"
#include "engine/disk_pages.h"
#include "engine/environment.h"
#include "engine/expert_paging.h"
#include "engine/lane_times.h"
#include "engine/stage_runner.h"
#include "io/reader.h"
#include "pipeline/task_runner.h"
#include "pipeline/trace.h"

namespace sluice::engine {

// An engine directory's pages are read asynchronously, past the page cache, and checked. Those of a
// checkpoint are made by the lane's own thread from the file's tensors. A row of the embedding is a
// page like an expert's, but for its place (disk_pages.h): what it comes with is read into a
// buffer.
//
// A read that fails is tried again a few times, at once; then whoever waits for it fails, with a
// sentence that names the file and the page. Nobody waits longer than `timeout_ms`. The read itself
// cannot be taken back: it keeps its slot until it ends, and if it ends well, the page is there.
//
// Guesses wait here, their tasks done, while what is under way keeps the disk busy: it would come
// later if they shared its rate. When they have their turn it may be too late, or there may be no
// room: then they are forgotten. Few are read at a time, since a page that is needed meanwhile
// waits behind them. Nobody is told of a guess that could not be read.
class DiskRunner final : public pipeline::AsyncTaskRunner {
 public:
  struct Options {
    const Environment* environment = nullptr;  // borrowed
    LaneTimes* times = nullptr;                // borrowed
    io::Faults* faults = nullptr;              // borrowed; null: none are made
    int64_t timeout_ms = 60'000;       // kTimeout for a task that has waited longer for its page
    pipeline::Trace* trace = nullptr;  // borrowed; gets the reads for guesses, when they end
    // Under way, that keep a disk busy: no guess beside them.
    int64_t guess_bytes = int64_t{4} << 20;
    // Of an embedding on disk; else null. Borrowed.
    memory::EmbeddingRows* rows = nullptr;
    const models::EmbeddingSource* embedding = nullptr;
    // Of a cache whose home is the disk, in a file in this directory; else null. Borrowed.
    StreamedKv* kv = nullptr;
    std::filesystem::path kv_directory;
    const std::vector<Flight>* flights = nullptr;  // borrowed; null: nothing is done again
  };
  // What is given is borrowed; no paging and no source: all weights are in memory. Errors: a file
  // of pages that cannot be opened, or one for the cache that cannot be made.
  static Result<std::unique_ptr<DiskRunner>> create(ExpertPaging* paging,
                                                    models::WeightSource* source,
                                                    const Options& options);

  int capacity() const override;
  Result<Start> start(const schedule::Task& task, const pipeline::TaskContext& context,
                      uint64_t token) override;
  size_t poll(std::span<Ended> ended, int64_t timeout_ms) override;
  int outlived() const override;
  void wake() override;

  // From any thread.
  // What the paging knows, and this lane.
  DiskStats stats() const;
  DiskKv* kv() const { return kv_.get(); }  // null: all of the cache is in memory
  std::string notes() const { return reader_ ? reader_->notes() : ""; }

  // Pages on their way: enough for any disk's queue, few beside the slots they take.
  static constexpr int kCapacity = 64;
  // Guesses on their way.
  static constexpr int kMostGuesses = 16;

 private:
  // A task that waits for a page; of kKv, for the window of that number.
  struct Waiter {
    DiskPage page;
    uint64_t token = 0;
    std::chrono::steady_clock::time_point until;
  };
  // A guess's task, done when it was handed in.
  struct Guess {
    schedule::Task task;
    int holder = 0;
    uint64_t iteration = 0;

    memory::WeightPageId page() const { return task.transfer()->pages.first; }
  };
  // A page that is being read; `user` of a request is its index.
  struct Load {
    DiskPage page;
    int64_t bytes = 0;
    int tries = 0;
    bool used = false;
    bool needed = false;  // somebody has asked for the page
    // As what its time counts: until it fails, or nobody waits for it any more.
    std::optional<Work> work{};
    std::optional<Guess> guess{};  // it began as one
    base::Clock::time_point started{};
  };

  // Somebody wants a page, for work that is planned or done again.
  struct Wish {
    DiskPage page;
    int64_t bytes = 0;
    uint64_t token = 0;
    bool planned = true;
  };
  DiskRunner(ExpertPaging* paging, models::WeightSource* source, const Options& options);
  Status open_files(const Options& options);
  Result<Start> start_page(const schedule::Task& task, const pipeline::TaskContext& context,
                           const Wish& wish);
  Result<Start> start_kv(const schedule::Task& task, size_t flight, uint64_t token);
  Result<Start> start_row(const Wish& row);
  Result<Start> load(const Wish& wish);
  bool planned(const schedule::Task& task, uint64_t flight) const;
  Load* free_load();
  Load* load_of(DiskPage page);
  Status make(DiskPage page, int64_t bytes);
  Status submit(size_t load);
  void finish(size_t load, const Status& read);
  void count(DiskPage page, int64_t bytes);
  void wait_for(DiskPage page, uint64_t token);
  void end_waiters(DiskPage page, const Status& status);
  void end_overdue();
  int64_t poll_ms(int64_t timeout_ms) const;
  std::string place(DiskPage page) const;
  DiskPages& pages(DiskPage page);
  const DiskPages& pages(DiskPage page) const;
  void begin_work(Load& load, Work work);
  void end_work(Load& load);
  // disk_guesses.cc
  void take_guess(const schedule::Task& task, const pipeline::TaskContext& context);
  void read_guesses();
  bool may_guess() const;
  void read_guess(const Guess& guess);
  void want(const Wish& wish);
  void end_guess(const Load& load, const Status& status);

  ExpertPaging* paging_;
  models::WeightSource* source_;
  memory::EmbeddingRows* rows_;  // null: none move
  std::optional<ExpertPages> experts_;
  std::optional<RowPages> row_pages_;
  const std::vector<Flight>* flights_;
  const base::Clock& clock_;
  LaneTimes& times_;
  std::chrono::milliseconds timeout_;
  std::unique_ptr<io::Reader> reader_;  // null: nothing is read
  std::unique_ptr<DiskKv> kv_;
  std::vector<io::FileId> files_;  // of pages; none: they are made
  std::vector<Load> loads_;
  std::vector<Waiter> waiters_;
  std::vector<Ended> ended_;
  std::vector<io::Completion> completions_;
  std::vector<Guess> guesses_;  // that wait for their turn
  pipeline::Trace* trace_;
  int64_t busy_bytes_;
  int guessing_ = 0;  // reads under way that nobody has asked for
  std::atomic<int64_t> pages_{0}, bytes_{0}, rows_read_{0}, row_bytes_{0}, retries_{0};
  std::atomic<int64_t> guess_pages_{0}, guess_bytes_{0};  // of reads that began as guesses
};

}  // namespace sluice::engine
