// How far a batch is: one live line on a terminal, plain lines in bounded intervals elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "batch/runner.h"
#include "engine/stats.h"

namespace sluice::batch {

struct ProgressOptions {
  bool live = false;             // a terminal: the line is drawn over and over
  std::function<int()> columns;  // of the terminal, asked at each drawing
  std::chrono::milliseconds live_every{100};
  std::chrono::milliseconds log_every{10'000};
};

class Progress {
 public:
  // `write` gets text as it is to appear on standard error.
  Progress(ProgressOptions options, std::function<void(const std::string&)> write);

  void update(const RunState& state, const engine::EngineStats& stats);
  // Takes a live line away, so that something else may be printed.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  // What was counted at one moment; rates are differences over the last few seconds.
  struct Sample {
    double seconds = 0;
    int64_t done = 0, generated = 0, prompt = 0;
  };

  ProgressOptions options_;
  std::function<void(const std::string&)> write_;
  std::deque<Sample> samples_;
  Clock::time_point last_{};
  bool drawn_ = false, any_ = false;
};

// What one drawing shows.
struct ProgressView {
  int64_t requests = 0, done = 0, failed = 0;
  int64_t repeated = 0;  // iterations that a fault ended
  double generated_per_second = 0, prompt_per_second = 0;
  double kv_share = 0;
  double eta_seconds = -1;  // negative: not known yet
  int64_t running = 0;
};

// The live line, no wider than `columns`: what does not fit is left out, the least telling first.
std::string live_line(const ProgressView& view, int columns);
std::string log_line(const ProgressView& view);

}  // namespace sluice::batch
