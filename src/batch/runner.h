// The loop of a batch: keeps the engine's queue fed from the input, and writes each line's answer
// as soon as it is whole.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "batch/answer.h"
#include "batch/feeder.h"
#include "batch/output.h"
#include "engine/engine.h"

namespace sluice::batch {

// What a person who interrupts wants.
enum StopRequest : int { kGoOn = 0, kFinishRunning = 1, kStopNow = 2 };

struct RunState {
  int64_t requests = 0;  // lines of the input that are not blank
  int64_t answered_before = 0;
  int64_t answered = 0;  // by this run, with an answer
  int64_t failed = 0;    // by this run, with an error line
  int64_t faulted = 0;   // of these, by faults of the machine
  int64_t running = 0, queued = 0;
  int64_t other_models = 0;  // answered although they name another model
  double seconds = 0;        // since the loop began
  double reading_seconds = 0, computing_seconds = 0, writing_seconds = 0;
  bool at_end = false;   // every line is answered
  bool stopped = false;  // on request, before the end

  int64_t done() const { return answered_before + answered + failed; }
};

struct RunnerHooks {
  // Between iterations.
  std::function<void(const RunState&, const engine::EngineStats&)> on_progress;
  // Each request of a line that was answered, before its line is written.
  std::function<void(const ReadyLine&, const engine::RequestOutput&)> on_output;
  std::function<int64_t()> now_unix_s;               // for `created`
  const std::atomic<int>* stop_requested = nullptr;  // a StopRequest
  const base::Clock* clock = &base::steady_clock();
};

class Runner {
 public:
  // All of it outlives the runner.
  Runner(engine::Engine& engine, Feeder& feeder, Output& output, AnswerContext context,
         RunnerHooks hooks, RunState begin);

  // Until the input is answered, a stop is requested, or something breaks (kNoRoom: the output's
  // disk is full; kFault: the machine that computes, so that the engine stopped, or more requests
  // failed than were answered). What was answered is written and synced either way.
  Status run();
  const RunState& state() const { return state_; }

 private:
  struct InFlight {
    ReadyLine line;
    std::vector<engine::RequestOutput> outputs;
    size_t submitted = 0, missing = 0;
    bool started = false, cancelled = false;
  };

  Status loop();
  Status refill();
  Status submit_some(InFlight& flight);
  Status start_next();
  Status finish(engine::RequestOutput&& output);
  Status write_answer(InFlight& flight);
  Status write_error(const std::string& custom_id, int64_t number, const LineError& error);
  Status count_fault(const Error& error);
  void cancel_unstarted();
  int stop_requested() const;

  engine::Engine& engine_;
  Feeder& feeder_;
  Output& output_;
  AnswerContext context_;
  RunnerHooks hooks_;
  RunState state_;
  std::deque<ReadyLine> ready_;
  bool input_ended_ = false;
  int64_t unsubmitted_line_ = 0;  // a line of which the engine has not taken every prompt, or 0
  std::unordered_map<int64_t, InFlight> in_flight_;  // by line number
};

}  // namespace sluice::batch
