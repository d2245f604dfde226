// The executor of real lanes.
//
// The host-compute lane has no thread: wait() runs its ready tasks on the calling thread, which is
// member 0 of the compute team, so that a token on a CPU pays no hand-over. Every other lane with a
// runner has one thread.
#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include "pipeline/executor.h"

namespace sluice::pipeline {

class ThreadExecutor final : public Executor {
 public:
  static Result<std::unique_ptr<Executor>> create(const ExecutorOptions& options);
  ~ThreadExecutor() override;
  ThreadExecutor(const ThreadExecutor&) = delete;
  ThreadExecutor& operator=(const ThreadExecutor&) = delete;

  Result<Ticket> submit(const schedule::Context& context, const schedule::Builder& builder,
                        uint64_t user) override;
  Status wait(Ticket ticket, std::optional<schedule::Task>* failed_task) override;
  bool ended(Ticket ticket) const override;
  void cancel(Ticket ticket) override;
  Status signal(const schedule::Signal& signal, const Error* error) override;
  Status clear_events() override;
  void close() override;

 private:
  struct State;
  explicit ThreadExecutor(std::shared_ptr<State> state);
  // Without patience: until all have left.
  void end_lanes(std::optional<std::chrono::milliseconds> patience);
  std::shared_ptr<State> state_;  // shared with lane threads: a hung one outlives the executor
};

}  // namespace sluice::pipeline
