// Runs the host-compute lane's tasks: the model's stages, and sampling.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <vector>

#include "engine/choice_run.h"
#include "engine/sampler.h"
#include "engine/stats.h"
#include "models/forward.h"
#include "pipeline/task_runner.h"
#include "scheduler/micro_batch.h"

namespace sluice::engine {

// One micro-batch in flight, as the lane sees it. Owned by the engine, one per micro-batch.
struct Flight {
  scheduler::MicroBatch batch;
  models::Activations activations;
  std::vector<ChoiceRun*> choices;  // by slice
  schedule::Context context;        // what the iteration was built from; lives until it has ended
  pipeline::Ticket ticket;
  bool out = false;
};

class HostRunner : public pipeline::TaskRunner {
 public:
  // Everything is borrowed. `flights[user]` is the flight of a task submitted with that user value.
  HostRunner(const models::ForwardContext& forward, models::WeightBytes weight_bytes,
             std::vector<Flight>& flights, EngineStats& stats, bool count_per_request,
             int64_t max_rows);

  Result<pipeline::TaskResult> run(const schedule::Task& task,
                                   const pipeline::TaskContext& context) override;

  // Time is counted to stages from here on; call before each wait.
  void mark() { last_ = Clock::now(); }

 private:
  using Clock = std::chrono::steady_clock;
  // A worker's own, so that rows are sampled side by side.
  struct Worker {
    explicit Worker(int vocab) : sampler(vocab), raw(static_cast<size_t>(vocab)) {}
    Sampler sampler;
    std::vector<float> raw;
  };

  void sample(const models::Stage& stage, Flight& flight);
  void sample_row(Flight& flight, int64_t part_first, int64_t index, Worker& worker);
  void count_experts(const models::Stage& stage, const Flight& flight);
  void account(const models::Stage& stage, const Flight& flight, pipeline::TaskResult& result);

  const models::ForwardContext& forward_;
  models::WeightBytes weight_bytes_;
  std::vector<Flight>& flights_;
  EngineStats& stats_;
  bool count_per_request_;
  std::vector<Worker> workers_;  // by team member
  std::vector<int32_t> slice_of_logit_;
  Clock::time_point last_{};
};

}  // namespace sluice::engine
