// Lanes and schedules made for tests.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "pipeline/executor.h"

namespace sluice::pipeline {

// A builder made of two functions.
class MadeBuilder final : public schedule::Builder {
 public:
  using Iteration = std::function<void(const schedule::Context&, schedule::Subgraph&)>;
  using Expand = std::function<void(const schedule::Context&, const schedule::ExpansionPoint&,
                                    schedule::Subgraph&)>;
  explicit MadeBuilder(Iteration iteration, Expand expand = {})
      : iteration_(std::move(iteration)), expand_(std::move(expand)) {}

  const char* name() const override { return "made"; }
  void iteration(const schedule::Context& c, schedule::Subgraph& out) const override {
    iteration_(c, out);
  }
  void expand(const schedule::Context& c, const schedule::ExpansionPoint& point,
              const schedule::RoutingOutcome&, schedule::Subgraph& out) const override {
    expand_(c, point, out);
  }
  schedule::BuilderBounds bounds(const schedule::Context&) const override { return {}; }

 private:
  Iteration iteration_;
  Expand expand_;
};

// A lane whose tasks are a function.
class MadeRunner final : public TaskRunner {
 public:
  using Body = std::function<Result<TaskResult>(const schedule::Task&, const TaskContext&)>;
  explicit MadeRunner(Body body) : body_(std::move(body)) {}
  Result<TaskResult> run(const schedule::Task& task, const TaskContext& context) override {
    return body_(task, context);
  }

 private:
  Body body_;
};

// A task of any lane, known by its layer.
inline schedule::TaskIndex add_task(schedule::Subgraph& graph, Lane lane, int16_t id) {
  schedule::Task task{.work = models::Stage{.kind = models::StageKind::kQkv, .layer = id},
                      .lane = lane,
                      .layer = id};
  using schedule::Level;
  switch (lane) {
    case Lane::kDeviceCompute:
    case Lane::kHostCompute:
      break;
    case Lane::kHostToDevice:
      task.work = schedule::Transfer{.from = Level::kHost, .to = Level::kDevice};
      break;
    case Lane::kDeviceToHost:
      task.work = schedule::Transfer{.from = Level::kDevice, .to = Level::kHost};
      break;
    case Lane::kDisk:
      task.work = schedule::Transfer{.from = Level::kDisk, .to = Level::kHost};
      break;
    case Lane::kNetwork:
      task.work = schedule::Transfer{.from = Level::kPeer, .to = Level::kHost};
      break;
  }
  return graph.add(task);
}

inline ExecutorOptions with_room(int in_flight) {
  ExecutorOptions options;
  options.limits.max_iterations_in_flight = in_flight;
  options.limits.max_iteration = {.tasks = 256,
                                  .dependencies = 1024,
                                  .waits = 64,
                                  .signals = 64,
                                  .pages = 64,
                                  .expansions = 16,
                                  .bytes = 1 << 30};
  options.limits.max_expansion = options.limits.max_iteration;
  return options;
}

inline void set_runner(ExecutorOptions& options, Lane lane, TaskRunner& runner) {
  options.runners[static_cast<size_t>(lane)] = &runner;
}

}  // namespace sluice::pipeline
