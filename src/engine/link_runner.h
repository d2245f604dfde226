// A lane between host and emulated device: copies what a transfer names, in the time that the link
// of the emulated machine takes for it.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>

#include "device/faults.h"
#include "device/pace.h"
#include "engine/expert_paging.h"
#include "engine/host_kv.h"
#include "engine/lane_times.h"
#include "engine/stage_runner.h"
#include "pipeline/task_runner.h"

namespace sluice::engine {

class LinkRunner final : public pipeline::AsyncTaskRunner {
 public:
  // Everything is borrowed. Pages come from `host_weights`, into the slots of `paging`.
  struct Options {
    const models::ModelConfig* config = nullptr;
    const models::ModelWeights* host_weights = nullptr;
    ExpertPaging* paging = nullptr;
    StreamedKv* kv = nullptr;         // null: attention runs on the host
    const HostKv* kv_home = nullptr;  // null: all of it is resident
    std::vector<Flight>* flights = nullptr;
    device::Pace* pace = nullptr;
    LaneTimes* times = nullptr;
    const base::Clock* clock = &base::steady_clock();  // the pace's
    device::Direction direction = device::Direction::kToDevice;
    device::Faults* faults = nullptr;  // null: none are made
  };
  explicit LinkRunner(const Options& options) : options_(options) {}

  // One transfer at a time has the link.
  int capacity() const override { return 1; }
  Result<Start> start(const schedule::Task& task, const pipeline::TaskContext& context,
                      uint64_t token) override;
  size_t poll(std::span<Ended> ended, int64_t timeout_ms) override;
  void wake() override;

  int64_t bytes() const { return bytes_; }  // moved so far; from any thread

 private:
  struct Moving {
    uint64_t token = 0;
    base::Clock::time_point end;
    std::optional<memory::WeightPageId> page;
    std::optional<size_t> leaves;  // the flight whose keys and values go home
    int layer = -1, part = 0;      // of these
    std::optional<Error> error;    // that it ends with
    bool planned = false;          // else it is done again
  };
  device::Fault fault_of(const Moving& moving, const schedule::Task& task) const;
  schedule::Lane lane() const;
  Error broken(const Moving& moving, const schedule::Task& task) const;
  bool claim_kv(const schedule::Task& task, size_t flight) const;
  void copy_kv(const schedule::Task& task, size_t flight) const;
  void copy(const schedule::Task& task, Flight& flight) const;
  void copy_output(int expert, Flight& flight) const;
  void copy_page(memory::WeightPageId page) const;

  const Options options_;
  std::optional<Moving> moving_;  // the lane's thread alone
  std::mutex mutex_;
  std::condition_variable woken_;
  bool wake_ = false;
  std::atomic<int64_t> bytes_{0};
};

}  // namespace sluice::engine
