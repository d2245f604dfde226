// How far a long read or write is: past two seconds one live line on a terminal, plain lines every
// ten seconds elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <functional>
#include <string>

namespace sluice::cli {

// Where it is shown, and by which clock.
struct ByteDisplay {
  using Clock = std::chrono::steady_clock;
  std::FILE* out = stderr;
  bool live = false;             // `out` is a terminal
  std::function<int()> columns;  // of it
  Clock::time_point (*now)() = &Clock::now;
};
ByteDisplay standard_error();

class ByteProgress {
 public:
  // `what` is done to `total` bytes, of which `before` are done already.
  ByteProgress(std::string what, int64_t total, int64_t before,
               ByteDisplay display = standard_error());
  ~ByteProgress() { clear(); }

  void update(int64_t done);
  // Takes a live line away, so that something else may be printed.
  void clear();

 private:
  using Clock = ByteDisplay::Clock;
  struct Sample {
    Clock::time_point at;
    int64_t done = 0;
  };
  std::string live_line(int64_t done, const std::string& eta, const std::string& pace) const;

  std::string what_;
  int64_t total_;
  ByteDisplay display_;
  std::deque<Sample> samples_;  // of the last seconds, for the rate
  Clock::time_point begun_, shown_;
  bool drawn_ = false;
};

}  // namespace sluice::cli
