// Runs the host-compute lane's tasks: the model's stages, and sampling.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "device/faults.h"
#include "device/pace.h"
#include "engine/choice_run.h"
#include "engine/expert_paging.h"
#include "engine/lane_times.h"
#include "engine/sampler.h"
#include "engine/stats.h"
#include "engine/streamed_kv.h"
#include "models/forward.h"
#include "pipeline/task_runner.h"
#include "scheduler/micro_batch.h"

namespace sluice::engine {

// One micro-batch in flight, as the lane sees it. Owned by the engine, one per micro-batch.
struct Flight {
  scheduler::MicroBatch batch;
  models::Activations activations;         // on the host
  models::Activations device_activations;  // where a device computes
  std::vector<ChoiceRun*> choices;         // by slice
  schedule::Context context;  // what the iteration was built from; lives until it has ended
  int guessed_layer = -1;     // whose router has been guessed at, and has not spoken
  Progress done_before = kNothingDone;        // by all its rows, in iterations that failed
  std::atomic<Progress> done = kNothingDone;  // of lanes that compute
  pipeline::Ticket ticket;
  bool out = false;
};

class StageRunner : public pipeline::TaskRunner {
 public:
  // Everything is borrowed. `flights[user]` is the flight of a task submitted with that user value.
  struct Options {
    const models::ForwardContext* forward = nullptr;
    models::WeightBytes weight_bytes;
    std::vector<Flight>* flights = nullptr;
    models::Activations Flight::* activations = &Flight::activations;  // those of this lane's level
    EngineStats* stats = nullptr;    // written while a task runs, under stats_lock()
    bool count_per_request = false;  // experts, of each request
    int64_t max_rows = 0;
    ExpertPaging* paging = nullptr;         // null: all experts are in this lane's memory
    memory::EmbeddingRows* rows = nullptr;  // null: the whole embedding is, too
    StreamedKv* kv = nullptr;               // null: the whole cache is in this lane's memory
    LaneTimes* times = nullptr;  // null: no other lanes, and all time between tasks is work
    schedule::Lane lane = schedule::Lane::kHostCompute;  // this one
    device::Pace* pace = nullptr;      // of an emulated machine: tasks take their predicted time
    device::Faults* faults = nullptr;  // null: none are made
    const base::Clock* clock = &base::steady_clock();
  };
  explicit StageRunner(const Options& options);

  Result<pipeline::TaskResult> run(const schedule::Task& task,
                                   const pipeline::TaskContext& context) override;

  // Time is counted to stages from here on; call before each wait.
  void mark() { last_ = options_.clock->now(); }

  // Held while a lane's own thread writes stats that another one reads.
  std::mutex& stats_lock() { return stats_mutex_; }

 private:
  // A worker's own, so that rows are sampled side by side.
  struct Worker {
    explicit Worker(int vocab) : sampler(vocab), raw(static_cast<size_t>(vocab)) {}
    Sampler sampler;
    std::vector<float> raw;
  };

  void sample(const models::Stage& stage, Flight& flight);
  void sample_row(Flight& flight, int64_t part_first, int64_t index, Worker& worker);
  void count_experts(const models::Stage& stage, Flight& flight);
  std::span<const int32_t> take_guess(const models::Stage& stage, uint64_t holder);
  void end_guess(const models::Stage& stage, uint64_t holder);
  void release_pages(const pipeline::TaskContext& context);
  void account(const models::Stage& stage, Flight& flight, const models::BatchView& batch,
               bool planned, pipeline::TaskResult& result);

  models::Activations& activations(Flight& flight) const { return flight.*options_.activations; }

  const Options options_;
  const models::ForwardContext& forward_;
  EngineStats& stats_;
  std::mutex stats_mutex_;
  std::vector<Worker> workers_;  // by team member
  std::vector<int32_t> slice_of_logit_;
  base::Clock::time_point last_{};
};

}  // namespace sluice::engine
