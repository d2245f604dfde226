// One run of `sluice batch`, from its files to its end: the job, the engine, the loop.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "batch/job.h"
#include "engine/running.h"

namespace sluice::sim {

class BatchRun {
 public:
  BatchRun(batch::JobOptions job, std::string model, engine::EngineOptions engine)
      : job_options_(std::move(job)), model_(std::move(model)), engine_options_(engine) {}

  // `loaded` sees the engine before the first request.
  Status answer(batch::RunnerHooks hooks, const std::function<void(engine::Running&)>& loaded = {});

  // What is left of it: null when it did not come so far.
  engine::Running* engine() const { return engine_.get(); }
  const batch::RunState& state() const { return state_; }

 private:
  batch::JobOptions job_options_;
  std::string model_;
  engine::EngineOptions engine_options_;
  std::unique_ptr<batch::Job> job_;
  std::unique_ptr<engine::Running> engine_;
  batch::RunState state_;
};

}  // namespace sluice::sim
