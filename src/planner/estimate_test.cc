#include "planner/estimate.h"

#include <gtest/gtest.h>

#include "planner/test_subject.h"

namespace sluice::planner {
namespace {

using schedule::Lane;

Candidate cgopipe(int64_t micro_batch, int64_t micro_batches) {
  Candidate candidate;
  candidate.policy = {.schedule = "cgopipe",
                      .batch = micro_batch * micro_batches,
                      .micro_batch = micro_batch,
                      .attention_on = plan::Place::kHost,
                      .experts_on = plan::Place::kDevice,
                      .resident_weights = 0};
  candidate.max_num_tokens = 512;
  return candidate;
}

// All experts of 32 layers cross the link once for all micro-batches.
TEST(Hrm, APassMovesEachExpertOnce) {
  const TestSubject f;
  const double experts = 32.0 * 8 * 3 * 4096 * 14336 * 2;
  const double hidden = 32.0 * 4096 * 4;  // bytes of one row's attended heads, all layers
  for (const int64_t batches : {1, 4, 16}) {
    const Pass pass =
        pass_of(f.subject(), cgopipe(64, batches), {.decode = 64, .decode_context = 100});
    EXPECT_NEAR(pass.lanes[static_cast<size_t>(Lane::kHostToDevice)],
                (experts + hidden * 64 * static_cast<double>(batches)) / 1e10, 1e-4);
    // Ten micro-batches read the device's memory for as long as the link moves a layer (eq. 11).
    const Lane bound = batches < 10 ? Lane::kHostToDevice : Lane::kDeviceCompute;
    EXPECT_EQ(pass.bound, bound);
    EXPECT_EQ(pass.seconds, pass.lanes[static_cast<size_t>(bound)]);  // eq. 12
  }
}

// The cache of every sequence is read once by the host, at its bandwidth.
TEST(Hrm, AttentionTakesWhatItsCacheTakes) {
  const TestSubject f;
  const Pass pass =
      pass_of(f.subject(), cgopipe(64, 2), {.decode = 64, .decode_context = 1000}, false, true);
  double attend = 0;
  for (const WorkTime& work : pass.work) {
    if (std::string_view(work.what) != "attend") continue;
    EXPECT_EQ(work.lane, Lane::kHostCompute);
    attend = work.seconds;
    EXPECT_NEAR(work.cost.kv_bytes, 128 * 1001 * 32 * 4096.0, 1);
  }
  EXPECT_NEAR(attend, 128 * 1001 * 32 * 4096.0 / 5e10, 0.02 * attend);
}

// Its measured curve, by the queries that share a key: one for each of the heads that share it.
TEST(Hrm, AttentionGoesByItsCurve) {
  TestSubject f;
  f.machine.costs.host_attend = {{1, 1e9}, {4, 4e9}, {16, 8e9}};
  const auto seconds = [&] {
    const Pass pass =
        pass_of(f.subject(), cgopipe(64, 2), {.decode = 64, .decode_context = 1000}, false, true);
    for (const WorkTime& work : pass.work)
      if (std::string_view(work.what) == "attend") return work.seconds;
    return 0.0;
  };
  const double flops = 128 * 1000.0 * 32 * 32 * (4 * 128 + 5);
  EXPECT_NEAR(seconds(), flops / 4e9, 1e-3 * flops / 4e9);
  // A new key and value for each of the 128 rows, one at a time.
  f.machine.costs.host_store = {{1, 1e9}, {64, 1e12}};
  const double stored = 128 * 32 * 4096.0;
  EXPECT_NEAR(seconds(), flops / 4e9 + stored / 1e9, 1e-3 * flops / 4e9);
  f.machine.costs.host_store.clear();
  // However fast, the cache is read.
  f.machine.costs.host_attend = {{1, 1e15}};
  EXPECT_NEAR(seconds(), 128 * 1001 * 32 * 4096.0 / 5e10, 0.02 * seconds());
}

TEST(Hrm, TheWorkOfALaneIsItsTime) {
  const TestSubject f;
  for (const char* schedule : {"cgopipe", "kv_prefetch", "serial", "flexgen", "flexgen_c",
                               "moe_lightning", "zero_inference"}) {
    Candidate candidate = cgopipe(8, 3);
    candidate.policy.schedule = schedule;
    candidate.policy.attention_on = find_schedule(schedule)->attention_on;
    const Rows rows{8, 300, 20, 2, 50};
    const Pass pass = pass_of(f.subject(), candidate, rows, false, true);
    LaneSeconds sums{};
    for (const WorkTime& work : pass.work) sums[static_cast<size_t>(work.lane)] += work.seconds;
    double all = 0, most = 0;
    for (size_t lane = 0; lane < sums.size(); ++lane) {
      EXPECT_NEAR(sums[lane], pass.lanes[lane], 1e-12) << schedule;
      all += sums[lane];
      most = std::max(most, sums[lane]);
    }
    EXPECT_GE(pass.seconds, most) << schedule;
    EXPECT_LE(pass.seconds, all * (1 + 1e-12)) << schedule;
    EXPECT_EQ(pass.seconds, pass_of(f.subject(), candidate, rows).seconds);
  }
}

TEST(Hrm, TurningPointsAreTheEquations) {
  const Machine m = TestSubject().machine;
  const auto points =
      turning_points(m.rates(Lane::kHostCompute), m.rates(Lane::kDeviceCompute), 1e10, 4, 50);
  EXPECT_DOUBLE_EQ(points.stay, 5e10 * 4 / 1e10);   // eq. 9, by the host's memory
  EXPECT_DOUBLE_EQ(points.link, 1e11 * 50 / 1e10);  // eq. 10, by the device's memory
  const auto peaks =
      turning_points(m.rates(Lane::kHostCompute), m.rates(Lane::kDeviceCompute), 1e10, 1e6, 1e6);
  EXPECT_DOUBLE_EQ(peaks.stay, 1e12 / 1e10);
  EXPECT_DOUBLE_EQ(peaks.link, 1e13 / 1e10);
}

// Tokens, seconds and their quotient agree, and a job of k batches takes about k times one's.
TEST(Estimate, UnitsAndSums) {
  const TestSubject f;
  const Workload one{"one", {{100, 50, 640}}}, ten{"ten", {{100, 50, 6400}}};
  for (const char* schedule : {"cgopipe", "moe_lightning", "flexgen"}) {
    Candidate candidate = cgopipe(64, 10);
    candidate.policy.schedule = schedule;
    const Estimate a = estimate(f.subject(), candidate, one);
    const Estimate b = estimate(f.subject(), candidate, ten);
    EXPECT_NEAR(a.tokens_per_second * a.seconds, 640 * 50, 1e-6);
    EXPECT_LE(b.seconds, 10 * a.seconds * 1.0001) << schedule;
    EXPECT_GT(b.seconds, 7 * a.seconds) << schedule;
    EXPECT_GT(a.prefill_seconds, 0);
    EXPECT_LT(a.prefill_seconds, a.seconds);
  }
}

TEST(Estimate, EnergyIsIdleAndBusyWattsOverTheTime) {
  TestSubject f;
  f.machine.device_watts = {.idle = 10, .busy = 70};
  const Workload workload{"w", {{100, 50, 640}}};
  const Estimate e = estimate(f.subject(), cgopipe(64, 10), workload);
  const double busy = e.busy[static_cast<size_t>(Lane::kDeviceCompute)];
  EXPECT_NEAR(e.joules_per_token * 640 * 50, 10 * e.seconds + 60 * busy, 1e-6 * e.seconds);
}

}  // namespace
}  // namespace sluice::planner
