#include "planner/replay.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>

#include "models/shape.h"
#include "plan/fit_kv.h"
#include "planner/planner.h"

namespace sluice::planner {
namespace {

using schedule::Lane;

struct Fixture {
  models::ModelConfig model;
  Machine machine;
  Layers layers;
  WeightSizes weights;
  Subject subject() const { return {model, machine, layers, weights}; }

  explicit Fixture(bool device) {
    model = models::known_shape("olmoe-1b-7b").value();
    model.layers.resize(4);
    layers = layers_of(model, {});
    weights = weight_sizes(model, "none").value();
    machine.cores = 2;
    machine.host_memory = int64_t{16} << 30;
    machine.rates(Lane::kHostCompute) = {.flops_per_second = 1e12, .bytes_per_second = 5e10};
    machine.disk_bytes = int64_t{1} << 40;
    machine.rates(Lane::kDisk) = {.bytes_per_second = 2e9};
    if (!device) return;
    machine.devices = 1;
    machine.device_memory = int64_t{2} << 30;
    machine.rates(Lane::kDeviceCompute) = {.flops_per_second = 1e13, .bytes_per_second = 3e11};
    machine.rates(Lane::kHostToDevice) = {.bytes_per_second = 1e10};
    machine.rates(Lane::kDeviceToHost) = {.bytes_per_second = 1e10};
  }
};

Candidate policy(const char* schedule, int64_t micro_batch, int64_t batch) {
  Candidate candidate;
  candidate.policy.schedule = schedule;
  candidate.policy.micro_batch = micro_batch;
  candidate.policy.batch = batch;
  candidate.max_num_tokens = 64;
  return candidate;
}

// Every token of every request comes, whatever the schedule and however lengths are mixed.
TEST(Replay, AWholeJobGeneratesAllItsTokens) {
  const Workload workload{"w", {{30, 5, 11}, {90, 9, 3}}};
  for (const auto& [schedule, device] :
       {std::pair{"resident", false}, {"layer_stream", false}, {"cgopipe", true}}) {
    Fixture f(device);
    if (std::string_view(schedule) == "layer_stream") f.machine.host_memory = int64_t{1} << 30;
    const auto plan = plan_of(f.subject(), policy(schedule, 4, 8), workload);
    ASSERT_TRUE(plan.ok()) << schedule << ": " << plan.error().message;
    const auto replayed = replay(f.subject(), *plan, workload, {.tasks = 1 << 22});
    ASSERT_TRUE(replayed.ok()) << replayed.error().message;
    EXPECT_TRUE(replayed->whole) << schedule;
    EXPECT_EQ(replayed->tokens, 11 * 5 + 3 * 9) << schedule;
    // No lane works longer than the job takes, and one always works.
    double most = 0, all = 0;
    for (const double busy : replayed->busy) {
      most = std::max(most, busy);
      all += busy;
    }
    EXPECT_LE(most, replayed->seconds * (1 + 1e-9)) << schedule;
    EXPECT_GE(all, replayed->seconds * (1 - 1e-9)) << schedule;
    EXPECT_GE(replayed->stretch, 1);
    const auto again = replay(f.subject(), *plan, workload, {.tasks = 1 << 22});
    EXPECT_EQ(again->seconds, replayed->seconds);
    EXPECT_EQ(again->tasks, replayed->tasks);
  }
}

// Of experts that the host computes none moves, but for the rows that they take.
TEST(Replay, ExpertsOnTheHostDoNotMove) {
  Fixture f(true);
  const Workload workload{"w", {{30, 5, 11}}};
  Candidate candidate = policy("cgopipe", 4, 8);
  candidate.policy.experts_on = plan::Place::kHost;
  const auto plan = plan_of(f.subject(), candidate, workload);
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  EXPECT_EQ(plan->policy.experts_on, plan::Place::kHost);
  const auto replayed = replay(f.subject(), *plan, workload, {.tasks = 1 << 22});
  ASSERT_TRUE(replayed.ok()) << replayed.error().message;
  EXPECT_TRUE(replayed->whole);
  EXPECT_EQ(replayed->tokens, 11 * 5);
}

// The cache that does not stay on the device crosses the link, as much as the engine would move.
TEST(Replay, KeysAndValuesMoveToADeviceThatAttends) {
  const Workload workload{"w", {{60, 9, 12}}};
  double before = 1e9;
  for (const double share : {0.0, 0.5, 1.0}) {
    Fixture f(true);
    Candidate candidate = policy("kv_prefetch", 4, 12);
    candidate.policy.attention_on = candidate.policy.experts_on = plan::Place::kDevice;
    candidate.policy.resident_kv = share;
    ASSERT_FALSE(settle(f.subject(), workload, candidate));
    const auto plan = plan_of(f.subject(), candidate, workload);
    ASSERT_TRUE(plan.ok()) << plan.error().message;
    EXPECT_EQ(plan->policy.attention_on, plan::Place::kDevice);
    EXPECT_EQ(plan->kv_window > 0, share < 1);
    EXPECT_NEAR(static_cast<double>(footprint(f.subject(), candidate, workload).device()),
                static_cast<double>(plan->device_bytes),
                0.1 * static_cast<double>(plan->device_bytes));
    const auto replayed = replay(f.subject(), *plan, workload, {.tasks = 1 << 22}).value();
    EXPECT_TRUE(replayed.whole);
    EXPECT_EQ(replayed.tokens, 12 * 9);
    const double down = replayed.busy[static_cast<size_t>(Lane::kDeviceToHost)];
    EXPECT_LT(down, before) << share;
    before = down;
  }
}

// The cache that does not stay in memory comes from the disk, and goes there once; beside a device
// too, if the host attends.
TEST(Replay, KeysAndValuesMoveBetweenMemoryAndDisk) {
  const Workload workload{"w", {{60, 90, 12}}};
  for (const bool device : {false, true}) {
    double before = 1e9;
    for (const double share : {0.0, 0.5, 1.0}) {
      Fixture f(device);
      f.machine.disk_feeds_device = false;
      f.machine.rates(Lane::kDisk) = {.bytes_per_second = 1e9};
      Candidate candidate = policy(device ? "cgopipe" : "resident", 4, 12);
      candidate.policy.resident_kv = share;
      if (device) {
        ASSERT_FALSE(settle(f.subject(), workload, candidate));
      }
      const auto plan = plan_of(f.subject(), candidate, workload);
      ASSERT_TRUE(plan.ok()) << plan.error().message;
      EXPECT_EQ(plan->policy.kv_on_disk(), share < 1);
      const Footprint foot = footprint(f.subject(), candidate, workload);
      EXPECT_EQ(foot.host_kv, plan->kv_bytes);
      EXPECT_EQ(foot.disk_kv, plan->kv_disk_bytes);
      EXPECT_EQ(foot.device_kv, 0);
      EXPECT_EQ(foot.disk_weights, 0);
      const auto replayed = replay(f.subject(), *plan, workload, {.tasks = 1 << 22}).value();
      EXPECT_TRUE(replayed.whole);
      EXPECT_EQ(replayed.tokens, 12 * 90);
      const double disk = replayed.busy[static_cast<size_t>(Lane::kDisk)];
      EXPECT_LT(disk, before) << share;
      EXPECT_EQ(disk > 0, share < 1);
      before = disk;
      if (share > 0) continue;
      // The same in parts of one sequence or two.
      plan::Plan narrow = *plan;
      narrow.kv_window = plan::blocks_per_sequence(narrow);
      ASSERT_LT(narrow.kv_window, plan->kv_window);
      const auto parts = replay(f.subject(), narrow, workload, {.tasks = 1 << 22}).value();
      EXPECT_TRUE(parts.whole);
      EXPECT_GT(parts.tasks, replayed.tasks);
      EXPECT_NEAR(parts.busy[static_cast<size_t>(Lane::kDisk)], disk, 1e-6 * disk);
    }
  }
}

// One lane cannot wait for itself: the replay is the sum of what is predicted.
TEST(Replay, OneLaneTakesTheSumOfItsTasks) {
  const Fixture f(false);
  const Workload workload{"w", {{20, 4, 6}}};
  const auto plan = plan_of(f.subject(), policy("resident", 6, 6), workload).value();
  const auto replayed = replay(f.subject(), plan, workload, {.tasks = 1 << 22}).value();
  EXPECT_NEAR(replayed.seconds, replayed.busy[static_cast<size_t>(Lane::kHostCompute)],
              1e-9 * replayed.seconds);
  EXPECT_NEAR(replayed.stretch, 1, 1e-9);
}

// Tasks of a lane follow each other, and the last ones are kept.
TEST(Replay, TheTimelineIsInOrder) {
  const Fixture f(true);
  const Workload workload{"w", {{20, 8, 16}}};
  const auto plan = plan_of(f.subject(), policy("cgopipe", 4, 16), workload).value();
  const auto replayed =
      replay(f.subject(), plan, workload, {.tasks = 1 << 22, .timeline_tasks = 500}).value();
  ASSERT_EQ(replayed.timeline.size(), 500);
  LaneSeconds until{};
  for (const ReplayedTask& task : replayed.timeline) {
    double& end = until[static_cast<size_t>(task.lane)];
    EXPECT_GE(task.begin, end - 1e-12);
    EXPECT_GT(task.end, task.begin);
    end = task.end;
  }
}

// Of the time between its first and its last task in the timeline.
double idle_share(const std::vector<ReplayedTask>& timeline, Lane lane) {
  double begin = -1, until = 0, idle = 0;
  for (const ReplayedTask& task : timeline) {
    if (task.lane != lane) continue;
    if (begin < 0) begin = until = task.begin;
    idle += task.begin - until;
    until = task.end;
  }
  return idle / (until - begin);
}

// Pages of a micro-batch's next iteration follow those of the others' present ones: where the link
// binds, it goes on over the ends of iterations.
TEST(Replay, ALinkThatBindsDoesNotDrainAtTheEndOfIterations) {
  for (const char* schedule : {"cgopipe", "kv_prefetch"}) {
    Fixture f(true);
    f.machine.rates(Lane::kHostToDevice) = {.bytes_per_second = 1e9};
    const Workload workload{"w", {{20, 200, 16}}};
    Candidate candidate = policy(schedule, 4, 16);
    candidate.policy.experts_on = plan::Place::kDevice;
    const auto plan = plan_of(f.subject(), candidate, workload);
    ASSERT_TRUE(plan.ok()) << plan.error().message;
    ASSERT_EQ(plan->micro_batches(), 4);
    const auto replayed =
        replay(f.subject(), *plan, workload, {.tasks = 20'000, .timeline_tasks = 8'000}).value();
    ASSERT_FALSE(replayed.whole);
    const auto ends = std::ranges::count_if(replayed.timeline, [](const ReplayedTask& task) {
      return std::string_view(task.what) == "sample";
    });
    EXPECT_GE(ends, 8) << schedule;
    EXPECT_LT(idle_share(replayed.timeline, Lane::kHostToDevice), 1e-3) << schedule;
  }
}

TEST(Replay, StopsAtItsLimit) {
  const Fixture f(true);
  const Workload workload{"w", {{20, 100, 1000}}};
  const auto plan = plan_of(f.subject(), policy("cgopipe", 4, 16), workload).value();
  const auto replayed = replay(f.subject(), plan, workload, {.tasks = 2000}).value();
  EXPECT_FALSE(replayed.whole);
  EXPECT_EQ(replayed.tasks, 2000);
}

}  // namespace
}  // namespace sluice::planner
