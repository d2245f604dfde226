// The disk lane: brings pages of experts from where the model's weights come from to their slots.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "engine/environment.h"
#include "engine/expert_paging.h"
#include "engine/stats.h"
#include "io/reader.h"
#include "pipeline/task_runner.h"

namespace sluice::engine {

// An engine directory's pages are read asynchronously, past the page cache, and checked. Those of a
// checkpoint are made by the lane's own thread from the file's tensors.
class DiskRunner final : public pipeline::AsyncTaskRunner {
 public:
  // What is given is borrowed; `faults` may be null. Errors: a file of pages that cannot be opened.
  static Result<std::unique_ptr<DiskRunner>> create(ExpertPaging& paging,
                                                    models::WeightSource& source,
                                                    io::Faults* faults,
                                                    const Environment& environment);

  int capacity() const override;
  Result<Start> start(const schedule::Task& task, const pipeline::TaskContext& context,
                      uint64_t token) override;
  size_t poll(std::span<Ended> ended, int64_t timeout_ms) override;
  void wake() override;

  // From any thread.
  DiskStats stats() const;
  std::string notes() const { return reader_ ? reader_->notes() : ""; }

 private:
  // A task that waits for a page.
  struct Waiter {
    memory::WeightPageId page = 0;
    uint64_t token = 0;
  };
  // A page that is being read; `user` of a request is its index.
  struct Load {
    memory::WeightPageId page = 0;
    int tries = 0;
    bool used = false;
  };

  DiskRunner(ExpertPaging& paging, models::WeightSource& source, const base::Clock& clock);
  Result<Start> load(memory::WeightPageId page, uint64_t token);
  Status make(memory::WeightPageId page);
  Status submit(size_t load);
  void finish(size_t load, const Status& read);
  void end_waiters(memory::WeightPageId page, const Status& status);
  void note_busy();

  ExpertPaging& paging_;
  models::WeightSource& source_;
  const base::Clock& clock_;
  std::unique_ptr<io::Reader> reader_;  // null: pages are made
  std::vector<io::FileId> files_;
  std::vector<Load> loads_;
  std::vector<Waiter> waiters_;
  std::vector<Ended> ended_;
  std::vector<io::Completion> completions_;
  int reading_ = 0;
  base::Clock::time_point busy_since_;
  std::atomic<int64_t> pages_{0}, bytes_{0}, busy_ns_{0}, retries_{0};
};

}  // namespace sluice::engine
