// What tests of a disk that misbehaves share.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "engine_runs.h"
#include "io/faults.h"

namespace sluice::tests {

// A fault for every so many calls of a reader; a write has no flipped bit.
class Every final : public io::Faults {
 public:
  Every(int64_t calls, const io::Fault& fault) : every_(calls), fault_(fault) {}
  io::Fault of_read(io::FileId, int64_t, int64_t) override { return next(fault_); }
  io::Fault of_write(io::FileId, int64_t, int64_t) override {
    io::Fault fault = fault_;
    fault.flipped_bit.reset();
    return next(fault);
  }

 private:
  io::Fault next(const io::Fault& fault) { return ++calls_ % every_ == 0 ? fault : io::Fault{}; }

  int64_t every_;
  io::Fault fault_;
  int64_t calls_ = 0;
};

// The requests get these answers, though iterations fail meanwhile.
inline void expect_overcome(engine::Engine& engine, const std::vector<engine::Request>& requests,
                            const std::map<engine::RequestId, engine::RequestOutput>& expected) {
  const StoppableRun got = run_until_stopped(engine, requests);
  EXPECT_TRUE(got.stopped.empty()) << got.stopped;
  for (const auto& [id, output] : expected) {
    EXPECT_TRUE(same_answers(got.outputs.at(id), output)) << id;
  }
  EXPECT_GT(engine.stats().failed_iterations, 0);
  EXPECT_EQ(engine.stats().requests_failed, 0);
}

}  // namespace sluice::tests
