// Records what every lane did and when, for ui.perfetto.dev.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "base/error.h"
#include "pipeline/task_runner.h"
#include "schedule/task.h"

namespace sluice::pipeline {

struct TraceOptions {
  // Reserved at the start (about 112 bytes each); later tasks are counted, not kept.
  int64_t max_tasks = 1 << 18;
};

// Any lane may record at any time. Recording allocates nothing.
class Trace {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Trace(const TraceOptions& options = {});

  void record(const schedule::Task& task, uint64_t iteration, Clock::time_point start,
              Clock::time_point end, const Result<TaskResult>& result);

  int64_t recorded() const;
  int64_t dropped() const;

  // Writes the trace-event JSON that Chrome and Perfetto read: one process, a thread per lane (more
  // for a lane with several tasks under way at once), a
  // complete event per task (times in microseconds since the trace began) with the predicted time
  // in its args. An existing file is replaced. kIo if it cannot be written.
  // https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
  Status write(const std::string& path) const;

 private:
  struct Record {
    decltype(schedule::Task::work) work;
    schedule::Lane lane = schedule::Lane::kHostCompute;
    int16_t layer = -1;
    uint16_t micro_batch = 0;
    bool failed = false;
    uint64_t iteration = 0;
    int64_t start_ns = 0;
    int64_t end_ns = 0;
    int64_t predicted_ns = 0;
    double flops = 0;
    double bytes = 0;
  };
  std::vector<int> tracks() const;
  static std::string event_json(const Record& record, int track);

  const Clock::time_point begin_;
  mutable std::mutex mutex_;
  std::vector<Record> records_;
  int64_t dropped_ = 0;
};

}  // namespace sluice::pipeline
