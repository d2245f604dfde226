// Schedules of other engines, which are costed alone: what they do that ours do not.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "planner/estimate.h"
#include "planner/host_traffic.h"
#include "planner/test_subject.h"

namespace sluice::planner {
namespace {

using schedule::Lane;

constexpr const char* kSystems[] = {"moe_lightning", "flexgen", "flexgen_c", "zero_inference"};
constexpr double kExpertBytes = 32.0 * 8 * 3 * 4096 * 14336 * 2;  // of Mixtral 8x7B
constexpr Rows kDecode{.decode = 64, .decode_context = 1000};

Candidate candidate_of(const char* schedule, int64_t micro_batches) {
  Candidate candidate;
  candidate.policy = {.schedule = schedule,
                      .batch = 64 * micro_batches,
                      .micro_batch = 64,
                      .attention_on = find_schedule(schedule)->attention_on,
                      .experts_on = plan::Place::kDevice,
                      .resident_weights = 0};
  if (candidate.policy.attention_on == plan::Place::kDevice) candidate.policy.resident_kv = 0;
  return candidate;
}

std::map<std::string, WorkTime> work_of(const TestSubject& f, const char* schedule,
                                        Pass* pass = nullptr, int64_t micro_batches = 4) {
  const Pass all =
      pass_of(f.subject(), candidate_of(schedule, micro_batches), kDecode, false, true);
  std::map<std::string, WorkTime> work;
  for (const WorkTime& time : all.work) {
    // Transfers down are called as what they follow.
    if (time.lane == Lane::kDeviceToHost) continue;
    work[time.what] = time;
  }
  if (pass != nullptr) *pass = all;
  return work;
}

// Copies to pinned memory are the host's work: of weights, and where the cache moves, of the cache.
TEST(Systems, WhatIsNotPinnedIsCopiedByTheHost) {
  const TestSubject f;
  auto work = work_of(f, "moe_lightning");
  EXPECT_NEAR(work["staging"].cost.bytes(), 4 * kExpertBytes, 1);
  EXPECT_EQ(work["staging"].lane, Lane::kHostCompute);
  work = work_of(f, "flexgen");
  EXPECT_NEAR(work["staging"].cost.bytes(), 3 * (kExpertBytes + work["kv"].cost.bytes()), 1);
  EXPECT_GT(work["kv"].cost.bytes(), 0);
  work = work_of(f, "flexgen_c");
  EXPECT_NEAR(work["staging"].cost.bytes(), 3 * kExpertBytes, 1);
  for (const char* pinned : {"cgopipe", "kv_prefetch", "zero_inference"})
    EXPECT_EQ(work_of(f, pinned).count("staging"), 0) << pinned;
}

// Two bytes become a float, written and read, and four query heads' floats, written and read.
TEST(Systems, AnExpandedCacheCrossesTheHostsMemoryForEveryQueryHead) {
  const TestSubject f;
  models::AttentionConfig attention = f.model.layers.front().attention;
  EXPECT_DOUBLE_EQ(expansion_crossings(attention, 2), 1 + 3 * 2 * (1 + 4));
  attention.q_heads = attention.kv_heads;
  EXPECT_DOUBLE_EQ(expansion_crossings(attention, 4), 1 + 3 * (1 + 1));
  auto in_place = work_of(f, "cgopipe"), expanded = work_of(f, "flexgen_c");
  EXPECT_NEAR(expanded["attend"].cost.kv_bytes, 31 * in_place["attend"].cost.kv_bytes, 1);
}

// 64 rows choose two of eight experts: 16 for each, of tiles of 64.
TEST(Systems, TilesComputeMoreRowsThanThereAre) {
  const TestSubject f;
  const double rows = work_of(f, "cgopipe")["expert_group"].cost.flops;
  EXPECT_NEAR(work_of(f, "moe_lightning")["expert_group"].cost.flops, 4 * rows, 1e-3 * rows);
}

// Weights hide behind one micro-batch's attention, the cache behind the others', experts behind
// nothing, and nothing hides what is copied beforehand.
TEST(Systems, AStepWaitsForAllThatItStarted) {
  TestSubject f;
  for (const double link : {1e9, 1e10, 1e12, 1e15}) {
    for (const double device : {1e9, 1e11, 1e13}) {
      for (const char* schedule : {"flexgen", "flexgen_c"}) {
        f.machine.rates(Lane::kHostToDevice).bytes_per_second = link;
        f.machine.rates(Lane::kDeviceCompute).bytes_per_second = device;
        Pass pass;
        const double n = 4;
        auto work = work_of(f, schedule, &pass, 4);
        const auto seconds = [&](const char* what) { return work[what].seconds; };
        const double attention = seconds("qkv") + seconds("attend") + seconds("o_proj");
        const double up = pass.lanes[static_cast<size_t>(Lane::kHostToDevice)] - seconds("weights");
        const double down = pass.lanes[static_cast<size_t>(Lane::kDeviceToHost)];
        const double experts = pass.lanes[static_cast<size_t>(Lane::kDeviceCompute)] +
                               pass.lanes[static_cast<size_t>(Lane::kHostCompute)] - attention -
                               seconds("staging");
        EXPECT_NEAR(pass.seconds,
                    seconds("staging") +
                        std::max({seconds("weights") + up / n, attention / n, down / n}) +
                        (n - 1) / n * std::max({up, attention, down}) + experts,
                    1e-9 * pass.seconds)
            << schedule;
      }
    }
  }
}

TEST(Systems, AFasterPartIsNeverSlower) {
  const Workload workload{"w", {{100, 50, 512}}};
  for (const char* schedule : kSystems) {
    for (const double context : {1.0, 0.01}) {  // of the link, so that other lanes bind
      TestSubject f;
      f.machine.rates(Lane::kHostToDevice).bytes_per_second /= context;
      const Estimate before = estimate(f.subject(), candidate_of(schedule, 8), workload);
      for (const Lane lane :
           {Lane::kDeviceCompute, Lane::kHostCompute, Lane::kHostToDevice, Lane::kDeviceToHost}) {
        TestSubject more = f;
        more.machine.rates(lane).bytes_per_second *= 1.7;
        more.machine.rates(lane).flops_per_second *= 1.7;
        const Estimate after = estimate(more.subject(), candidate_of(schedule, 8), workload);
        EXPECT_LE(after.seconds, before.seconds * (1 + 1e-9)) << schedule;
      }
    }
  }
}

}  // namespace
}  // namespace sluice::planner
