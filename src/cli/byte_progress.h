// How far a long read or write is: one live line on a terminal, plain lines every ten seconds
// elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>

namespace sluice::cli {

class ByteProgress {
 public:
  // `what` is done to `total` bytes, of which `before` are done already.
  ByteProgress(std::string what, int64_t total, int64_t before);
  ~ByteProgress() { clear(); }

  void update(int64_t done);
  // Takes a live line away, so that something else may be printed.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  struct Sample {
    Clock::time_point at;
    int64_t done = 0;
  };

  std::string what_;
  int64_t total_;
  bool live_;
  std::deque<Sample> samples_;  // of the last seconds, for the rate
  Clock::time_point shown_;
  bool drawn_ = false;
};

}  // namespace sluice::cli
