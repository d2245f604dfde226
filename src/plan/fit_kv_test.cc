// Caches of which a part lies on disk.
#include "plan/fit_kv.h"

#include <gtest/gtest.h>

#include "plan/test_model.h"

namespace sluice::plan {
namespace {

constexpr int64_t kLayers = 2;
constexpr int64_t kPlace = 32 * 2 * 64 * 4;  // a block of one layer: tokens, K and V, width, f32

// 16 sequences of 8 blocks, four at a time.
FitWishes wishes() {
  return {.schedule = "auto",
          .max_batch_size = 16,
          .micro_batch_size = 4,
          .max_num_tokens = 16,
          .max_seq_len = 256,
          .kv_on = "disk"};
}

TEST(FitKv, WhatStaysIsCounted) {
  FitWishes some = wishes();
  some.resident_kv = 0.25;
  const auto plan =
      fit_plan(small(), with_experts(), some, {.available_memory = kGiB, .disk_room = kGiB});
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  EXPECT_EQ(plan->policy.schedule, "resident");
  EXPECT_TRUE(plan->policy.kv_on_disk());
  EXPECT_EQ(plan->kv_blocks, 16 * 8);
  EXPECT_EQ(plan->resident_kv_blocks, 32);
  EXPECT_EQ(plan->kv_tails, 16);
  EXPECT_EQ(plan->kv_window, 4 * 8);
  EXPECT_EQ(plan->kv_disk_bytes, 96 * kLayers * kPlace);
  EXPECT_EQ(plan->kv_bytes, ((32 + 16) * kLayers + 2 * 32) * kPlace + 96 * kLayers * 4);
}

TEST(FitKv, WhatFindsRoomStays) {
  const FitMachine ample{.available_memory = kGiB, .disk_room = kGiB};
  const auto all = fit_plan(small(), with_experts(), wishes(), ample);
  ASSERT_TRUE(all.ok()) << all.error().message;
  EXPECT_FALSE(all->policy.kv_on_disk());
  EXPECT_EQ(all->kv_disk_bytes, 0);
  EXPECT_EQ(all->kv_bytes, all->kv_blocks * kLayers * kPlace);
  // Beside the weights 6 MiB, of which the cache gets half: less than its 8, more than its windows.
  FitMachine tight = ample;
  const int64_t rest = all->activation_bytes + all->weight_bytes;
  tight.available_memory = rest + 6 * kMiB;
  FitWishes alone = wishes();
  alone.schedule = "resident";
  const auto some = fit_plan(small(), with_experts(), alone, tight);
  ASSERT_TRUE(some.ok()) << some.error().message;
  EXPECT_GT(some->policy.resident_kv, 0);
  EXPECT_TRUE(some->policy.kv_on_disk());
  EXPECT_LE(some->kv_bytes, 3 * kMiB);
  EXPECT_GT(some->kv_bytes, 3 * kMiB - 2 * kLayers * kPlace);
}

// The host's windows, and nothing of the cache on the device.
TEST(FitKv, BesideADeviceTheHostAttendsOverIt) {
  FitWishes some = wishes();
  some.resident_kv = 0.25;
  const FitMachine host{.available_memory = kGiB, .disk_room = kGiB};
  FitMachine machine = host;
  machine.device_memory = 200 * kMiB;
  const auto alone = fit_plan(small(), with_experts(), some, host);
  const auto beside = fit_plan(small(), with_experts(), some, machine);
  ASSERT_TRUE(alone.ok() && beside.ok());
  EXPECT_EQ(beside->policy.schedule, "cgopipe");
  EXPECT_TRUE(beside->policy.kv_on_disk());
  EXPECT_EQ(beside->kv_bytes, alone->kv_bytes);
  EXPECT_EQ(beside->kv_disk_bytes, alone->kv_disk_bytes);
  EXPECT_EQ(beside->kv_tails, 16);
  some.kv_on = "host";
  some.resident_kv.reset();
  const auto without = fit_plan(small(), with_experts(), some, machine);
  ASSERT_TRUE(without.ok());
  EXPECT_EQ(beside->device_bytes, without->device_bytes);
}

// A window has as many bytes as are asked for, but room for any sequence.
TEST(FitKv, WindowsAreAsWideAsTheyNeedBe) {
  const FitMachine machine{.available_memory = kGiB, .disk_room = kGiB};
  for (const auto& [bytes, blocks] :
       {std::pair{kKvWindowBytes, 4 * 8}, {20 * kPlace, 20}, {int64_t{1}, 8}}) {
    FitWishes some = wishes();
    some.resident_kv = 0;
    some.kv_window_bytes = bytes;
    const auto plan = fit_plan(small(), with_experts(), some, machine);
    ASSERT_TRUE(plan.ok()) << plan.error().message;
    EXPECT_EQ(plan->kv_window, blocks);
    EXPECT_EQ(plan->kv_bytes, (16 * kLayers + 2 * blocks) * kPlace + 128 * kLayers * 4);
  }
}

// Nobody says how many sequences, nor how long: as many as have room for a block each beside the
// windows, however much of the cache that puts on the disk.
TEST(FitKv, ABatchThatIsLeftOpenShrinksToWhatMemoryHolds) {
  FitWishes open{.schedule = "resident", .max_num_tokens = 64, .kv_on = "disk"};
  const FitMachine ample{.available_memory = kGiB, .disk_room = 100 * kGiB};
  const auto all = fit_plan(small(), with_experts(), open, ample);
  ASSERT_TRUE(all.ok()) << all.error().message;
  EXPECT_EQ(all->policy.batch, 64);
  FitMachine tight = ample;
  // For the cache half of 6 MiB: two windows of 128 blocks in one layer take 2.
  tight.available_memory = all->weight_bytes + all->activation_bytes + 12 * kMiB;
  const auto some = fit_plan(small(), with_experts(), open, tight);
  ASSERT_TRUE(some.ok()) << some.error().message;
  EXPECT_EQ(some->max_seq_len, small().max_positions);
  EXPECT_LT(some->policy.batch, 64);
  EXPECT_GT(some->policy.batch, 32);
  EXPECT_EQ(some->policy.micro_batch, some->policy.batch);
  EXPECT_EQ(some->kv_blocks, some->policy.batch * 128);
  EXPECT_LE(some->kv_bytes, 6 * kMiB);
  // Who says how many, gets them: with less room for each.
  open.max_batch_size = 64;
  const auto asked = fit_plan(small(), with_experts(), open, tight);
  ASSERT_TRUE(asked.ok()) << asked.error().message;
  EXPECT_EQ(asked->policy.batch, 64);
  EXPECT_LT(asked->kv_blocks, some->kv_blocks);
}

// The share that a plan states gives the same plan again.
TEST(FitKv, AShareGivesTheSameBlocks) {
  for (int64_t blocks = 0; blocks <= 16 * 8; ++blocks) {
    FitWishes some = wishes();
    some.resident_kv = static_cast<double>(blocks) / (16 * 8);
    const auto plan =
        fit_plan(small(), with_experts(), some, {.available_memory = kGiB, .disk_room = kGiB});
    ASSERT_TRUE(plan.ok()) << plan.error().message;
    EXPECT_EQ(plan->policy.kv_on_disk() ? plan->resident_kv_blocks : plan->kv_blocks, blocks);
  }
}

TEST(FitKv, LeavesTheRestToExperts) {
  FitWishes paged = wishes();
  paged.schedule = "layer_stream";
  const FitMachine machine{.available_memory = 110 * kMiB, .disk_room = kGiB};
  const auto host = [&] {
    FitWishes w = paged;
    w.kv_on = "host";
    return fit_plan(small(), with_experts(), w, machine);
  }();
  ASSERT_TRUE(host.ok()) << host.error().message;
  const auto disk = fit_plan(small(), with_experts(), paged, machine);
  ASSERT_TRUE(disk.ok()) << disk.error().message;
  EXPECT_EQ(disk->kv_blocks, host->kv_blocks);
  EXPECT_LT(disk->kv_bytes, host->kv_bytes);
  EXPECT_GT(disk->expert_slots, host->expert_slots);
  EXPECT_LE(disk->total_bytes(), machine.available_memory);
}

// Fewer sequences run side by side where the disk has no room for all, or shorter ones, if nobody
// said how long they are, where what is at work of them has none in memory.
TEST(FitKv, DiskAndWhatIsAtWorkBoundTheCache) {
  FitWishes long_ones = wishes();
  long_ones.schedule = "resident";
  long_ones.max_seq_len = 4096;
  long_ones.micro_batch_size = 16;
  const FitMachine machine{.available_memory = 170 * kMiB, .disk_room = 40 * kMiB};
  const auto fewer = fit_plan(small(), with_experts(), long_ones, machine);
  ASSERT_TRUE(fewer.ok()) << fewer.error().message;
  EXPECT_EQ(fewer->kv_blocks, 20 * kMiB / (kLayers * kPlace));
  EXPECT_LE(fewer->total_bytes(), machine.available_memory);
  FitMachine tight = machine;
  tight.available_memory = fewer->weight_bytes + fewer->activation_bytes + 2 * kMiB;
  FitWishes unknown = long_ones;
  unknown.max_seq_len = 0;
  const auto shorter = fit_plan(small(), with_experts(), unknown, tight);
  ASSERT_TRUE(shorter.ok()) << shorter.error().message;
  EXPECT_LT(shorter->max_seq_len, 4096);
  EXPECT_GT(shorter->max_seq_len, 0);
  // What the disk has no room for is not there.
  FitMachine full = machine;
  full.disk_room = 256 * 2 * kPlace * 2;
  EXPECT_EQ(fit_plan(small(), with_experts(), long_ones, full)->kv_blocks, 256);
}

TEST(FitKv, SaysWhatHasNoRoom) {
  FitWishes long_ones = wishes();
  long_ones.schedule = "resident";
  long_ones.max_seq_len = 4096;
  const auto said = [&](const FitMachine& machine) {
    const auto plan = fit_plan(small(), with_experts(), long_ones, machine);
    return plan.ok() ? std::string() : plan.error().message;
  };
  const std::string no_disk = said({.available_memory = 170 * kMiB, .disk_room = kMiB});
  EXPECT_NE(no_disk.find("or more room on the disk, would help"), std::string::npos) << no_disk;
  const std::string no_memory = said({.available_memory = 152 * kMiB, .disk_room = kGiB});
  EXPECT_NE(no_memory.find("of KV cache in f32 for what is at work of a sequence of 4096 tokens"),
            std::string::npos)
      << no_memory;
}

}  // namespace
}  // namespace sluice::plan
