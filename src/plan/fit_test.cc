#include "plan/fit.h"

#include <gtest/gtest.h>

#include "plan/test_model.h"

namespace sluice::plan {
namespace {

constexpr int64_t kBlock = 2 * 32 * 2 * 64 * 4;  // layers, tokens, K and V, width, f32

TEST(Fit, DefaultsFitAndAddUp) {
  const auto plan =
      fit_plan(small(), {.weight_bytes = 1 << 20}, {}, {.available_memory = 8 * kGiB, .cores = 2});
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  EXPECT_EQ(plan->policy.batch, 64);
  EXPECT_EQ(plan->micro_batches(), 1);
  EXPECT_EQ(plan->max_seq_len, 4096);
  EXPECT_EQ(plan->kv_bytes, plan->kv_blocks * kBlock);
  EXPECT_LE(plan->total_bytes(), 8 * kGiB);
  EXPECT_EQ(plan->threads, 2);
}

TEST(Fit, TheCacheIsAsWideAsTheWeightsUnlessAskedFor) {
  using kernels::KvDType;
  using tensor::DType;
  const auto plan = [](DType stored, const FitWishes& wishes) {
    return fit_plan(small(), {.weight_bytes = 1 << 20, .stored = stored}, wishes,
                    {.available_memory = 8 * kGiB, .cores = 2});
  };
  const struct {
    DType stored;
    KvDType kv;
  } automatic[] = {{DType::kF32, KvDType::kF32},
                   {DType::kBF16, KvDType::kBF16},
                   {DType::kF16, KvDType::kF16},
                   {DType::kQ4_K, KvDType::kF16}};
  for (const auto& c : automatic) EXPECT_EQ(plan(c.stored, {})->kv_dtype, c.kv);
  const struct {
    const char* name;
    int64_t block;
  } asked[] = {{"f32", kBlock},
               {"f16", kBlock / 2},
               {"bf16", kBlock / 2},
               {"q8", kBlock / 4 + 2 * 32 * 2 * 4 * 4}};  // scales of 4 heads
  for (const auto& c : asked) {
    const auto made = plan(DType::kBF16, {.kv_dtype = c.name});
    EXPECT_STREQ(kernels::name(made->kv_dtype), c.name);
    EXPECT_EQ(made->kv_bytes, made->kv_blocks * c.block);
  }
}

TEST(Fit, ALengthNobodyAskedForShrinks) {
  const FitWishes wishes{.max_num_tokens = 64, .kv_cache_memory = 10 * kBlock};
  const auto plan =
      fit_plan(small(), {.weight_bytes = 1 << 20}, wishes, {.available_memory = kGiB, .cores = 1});
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  EXPECT_EQ(plan->max_seq_len, 10 * 32);
}

TEST(Fit, RefusesWithNumbersAndTheNearestThatFits) {
  const FitWishes wishes{.max_seq_len = 4096, .kv_cache_memory = 10 * kBlock};
  const auto plan =
      fit_plan(small(), {.weight_bytes = 1 << 20}, wishes, {.available_memory = kGiB, .cores = 1});
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().code, ErrorCode::kNoRoom);
  EXPECT_NE(plan.error().message.find("--max-seq-len 320 would fit"), std::string::npos)
      << plan.error().message;
  // Half the bytes, twice the tokens.
  const FitWishes half{.max_seq_len = 4096, .kv_cache_memory = 10 * kBlock, .kv_dtype = "bf16"};
  const auto other =
      fit_plan(small(), {.weight_bytes = 1 << 20}, half, {.available_memory = kGiB, .cores = 1});
  EXPECT_NE(other.error().message.find("KV cache in bf16"), std::string::npos);
  EXPECT_NE(other.error().message.find("--max-seq-len 640 would fit"), std::string::npos)
      << other.error().message;

  const auto large =
      fit_plan(small(), {.weight_bytes = 2 * kGiB}, {}, {.available_memory = kGiB, .cores = 1});
  ASSERT_FALSE(large.ok());
  EXPECT_NE(large.error().message.find("2.0 GiB of weights"), std::string::npos)
      << large.error().message;
}

TEST(Fit, NamesTheFlagThatIsWrong) {
  const struct {
    FitWishes wishes;
    const char* named;
  } cases[] = {{{.max_batch_size = -1}, "--max-batch-size"},
               {{.max_batch_size = 4, .micro_batch_size = 8}, "--micro-batch-size"},
               {{.max_batch_size = 8, .max_num_tokens = 4}, "--max-num-tokens"},
               {{.max_seq_len = 5000}, "--max-seq-len"},
               {{.kv_cache_free_mem_fraction = 0}, "--kv-cache-free-mem-fraction"},
               {{.kv_block_tokens = 20}, "--kv-block-tokens"},
               {{.kv_dtype = "q4"}, "--kv-dtype"},
               {{.host_memory = -1}, "--host-memory"},
               {{.resident_weights = 1.5}, "--resident-weights"},
               {{.resident_weights = 0.5}, "--resident-weights"}};
  for (const auto& c : cases) {
    const auto plan = fit_plan(small(), {.weight_bytes = 1 << 20}, c.wishes,
                               {.available_memory = kGiB, .cores = 1});
    ASSERT_FALSE(plan.ok()) << c.named;
    EXPECT_NE(plan.error().message.find(c.named), std::string::npos) << plan.error().message;
  }
}

TEST(Fit, ExpertsStayOnDiskOnlyIfTheyMust) {
  const FitWishes wishes{.max_batch_size = 4, .max_seq_len = 256};
  const auto all = fit_plan(small(), with_experts(), wishes, {.available_memory = kGiB});
  ASSERT_TRUE(all.ok()) << all.error().message;
  EXPECT_EQ(all->expert_slots, 0);
  EXPECT_EQ(all->policy.schedule, "resident");
  const auto some = fit_plan(small(), with_experts(), wishes, {.available_memory = 100 * kMiB});
  ASSERT_TRUE(some.ok()) << some.error().message;
  EXPECT_EQ(some->policy.schedule, "layer_stream");
  EXPECT_GT(some->expert_slots, 10);
  EXPECT_LT(some->expert_slots, 50);
  EXPECT_LE(some->moving_slots, some->expert_slots);
  EXPECT_LE(some->total_bytes(), 100 * kMiB);
  // What is left over would not have held one expert more.
  EXPECT_GT(some->total_bytes() + kMiB, 100 * kMiB);
  EXPECT_GE(some->kv_blocks, 4 * 256 / 32);
}

TEST(Fit, SequencesComeBeforeExpertsWhereTheirLengthIsKnown) {
  const FitMachine machine{.available_memory = 150 * kMiB};
  const auto known =
      fit_plan(small(), with_experts(), {.max_batch_size = 24, .max_seq_len = 1024}, machine);
  ASSERT_TRUE(known.ok()) << known.error().message;
  EXPECT_EQ(known->kv_blocks, 24 * 1024 / 32);
  EXPECT_LE(known->total_bytes(), 150 * kMiB);
  // Else by the fraction.
  const auto open = fit_plan(small(), with_experts(),
                             {.max_batch_size = 24, .kv_cache_free_mem_fraction = 0.25}, machine);
  ASSERT_TRUE(open.ok()) << open.error().message;
  EXPECT_LT(open->kv_bytes, known->kv_bytes);
  EXPECT_GT(open->expert_slots, known->expert_slots);
}

TEST(Fit, SaysWhatIsMissingWhereNotEvenAFewExpertsFit) {
  const auto plan = fit_plan(small(), with_experts(), {.max_batch_size = 1, .max_seq_len = 256},
                             {.available_memory = 50 * kMiB});
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().code, ErrorCode::kNoRoom);
  // A schedule that cannot read experts is not replaced by one that can.
  const auto resident = fit_plan(small(), with_experts(),
                                 {.schedule = "resident", .max_batch_size = 1, .max_seq_len = 256},
                                 {.available_memory = 100 * kMiB});
  ASSERT_FALSE(resident.ok());
  EXPECT_EQ(resident.error().code, ErrorCode::kNoRoom);
}

TEST(Fit, ResidentWeightsBoundTheExpertsInMemory) {
  FitWishes wishes{.max_batch_size = 4, .max_seq_len = 256, .resident_weights = 0.25};
  const FitMachine machine{.available_memory = kGiB};
  auto plan = fit_plan(small(), with_experts(), wishes, machine);
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  EXPECT_EQ(plan->expert_slots, 25);
  wishes.resident_weights = 0;
  wishes.schedule = "expert_fetch";
  plan = fit_plan(small(), with_experts(), wishes, machine);
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  EXPECT_EQ(plan->expert_slots, 4);
  EXPECT_EQ(plan->policy.schedule, "expert_fetch");
  EXPECT_TRUE(plan->policy.guess_experts);
  wishes.guess_experts = "off";
  EXPECT_FALSE(fit_plan(small(), with_experts(), wishes, machine)->policy.guess_experts);
  wishes.schedule = "layer_stream";
  wishes.guess_experts = "auto";
  EXPECT_FALSE(fit_plan(small(), with_experts(), wishes, machine)->policy.guess_experts);
}

// What a plan states as a share becomes the same number of slots again.
TEST(Fit, AShareMadeOfSlotsGivesThemBack) {
  FitModel model = with_experts();
  model.pages = 448;
  for (int64_t slots = kLeastSlots; slots < model.pages; ++slots) {
    const double share = static_cast<double>(slots) / static_cast<double>(model.pages);
    FitWishes wishes{.schedule = "layer_stream", .max_seq_len = 64, .resident_weights = share};
    const auto plan = fit_plan(small(), model, wishes, {.available_memory = 64 * kGiB});
    ASSERT_TRUE(plan.ok()) << plan.error().message;
    EXPECT_EQ(plan->expert_slots, slots);
  }
}

TEST(Fit, AttentionOnADeviceHasItsKeysAndValuesCountedThere) {
  FitWishes wishes{.schedule = "kv_prefetch",
                   .max_batch_size = 8,
                   .micro_batch_size = 2,
                   .max_num_tokens = 16,
                   .max_seq_len = 256};
  const FitMachine machine{.available_memory = kGiB, .device_memory = 120 * kMiB};
  const auto none = fit_plan(small(), with_experts(), wishes, machine);
  ASSERT_TRUE(none.ok()) << none.error().message;
  EXPECT_EQ(none->policy.attention_on, Place::kDevice);
  EXPECT_EQ(none->resident_kv_blocks, 0);
  EXPECT_EQ(none->kv_window, 2 * 256 / 32);  // two sequences
  EXPECT_EQ(none->kv_bytes, none->kv_blocks * kBlock);
  EXPECT_LE(none->device_bytes, 120 * kMiB);
  wishes.resident_kv = 0.5;
  const auto half = fit_plan(small(), with_experts(), wishes, machine);
  ASSERT_TRUE(half.ok()) << half.error().message;
  EXPECT_EQ(half->resident_kv_blocks, half->kv_blocks / 2);
  EXPECT_EQ(half->kv_bytes, none->kv_bytes / 2);
  // What stays there takes the room of experts.
  const int64_t taken = (none->expert_slots - half->expert_slots) * kMiB;
  EXPECT_NEAR(static_cast<double>(taken), static_cast<double>(half->resident_kv_blocks * kBlock),
              static_cast<double>(kMiB));
  wishes.resident_kv = 1;
  const auto all = fit_plan(small(), with_experts(), wishes, machine);
  ASSERT_TRUE(all.ok()) << all.error().message;
  EXPECT_EQ(all->kv_bytes, 0);
  EXPECT_EQ(all->kv_window, 0);
  // More than the device has.
  const auto large = fit_plan(small(), with_experts(), wishes,
                              {.available_memory = kGiB, .device_memory = 55 * kMiB});
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(large.error().code, ErrorCode::kNoRoom);
  EXPECT_NE(large.error().message.find("--resident-kv"), std::string::npos)
      << large.error().message;
}

TEST(Fit, ChoosesWhereToAttend) {
  const FitMachine with{.available_memory = kGiB, .device_memory = kGiB};
  const auto policy = [&](FitWishes wishes) {
    wishes.max_seq_len = 256;
    return fit_plan(small(), with_experts(), wishes, with)->policy;
  };
  EXPECT_EQ(policy({}).schedule, "cgopipe");
  EXPECT_EQ(policy({.attention_on = "host"}).schedule, "cgopipe");
  EXPECT_EQ(policy({.attention_on = "device"}).schedule, "kv_prefetch");
  EXPECT_EQ(policy({.schedule = "serial"}).attention_on, Place::kHost);
  EXPECT_EQ(policy({.schedule = "serial", .attention_on = "device"}).attention_on, Place::kDevice);
  EXPECT_EQ(policy({}).experts_on, Place::kAuto);
  EXPECT_EQ(policy({.experts_on = "device"}).experts_on, Place::kDevice);
  EXPECT_EQ(policy({.experts_on = "host"}).experts_on, Place::kHost);
  EXPECT_EQ(policy({.schedule = "kv_prefetch"}).experts_on, Place::kDevice);
  EXPECT_EQ(policy({.schedule = "serial", .experts_on = "auto"}).experts_on, Place::kAuto);
}

TEST(Fit, SaysWhatCannotAttendWhere) {
  const struct {
    FitWishes wishes;
    int64_t device;
    const char* said;
  } cases[] = {
      {{.attention_on = "device"}, 0, "--attention-on device needs a --device"},
      {{.attention_on = "gpu"}, kGiB, "--attention-on is 'gpu'; auto, host or device"},
      {{.experts_on = "device"}, 0, "--experts-on device needs a --device"},
      {{.experts_on = "disk"}, kGiB, "--experts-on is 'disk'; auto, host or device"},
      {{.schedule = "kv_prefetch"}, 0, "--schedule kv_prefetch needs a --device"},
      {{.schedule = "kv_prefetch", .attention_on = "host"}, kGiB, "take cgopipe"},
      {{.schedule = "cgopipe", .attention_on = "device"}, kGiB, "take kv_prefetch"},
      {{.schedule = "layer_stream"}, kGiB, "uses no device"},
      {{.guess_experts = "on"}, 0, "--guess-experts on needs --schedule expert_fetch; resident"},
      {{.guess_experts = "on"}, kGiB, "--guess-experts on needs --schedule expert_fetch; cgopipe"},
      {{.guess_experts = "yes"}, 0, "--guess-experts is 'yes'; auto, on or off is expected"},
      {{.resident_kv = 0.5}, kGiB, "needs --attention-on device"},
      {{.resident_kv = 0.5}, 0, "needs --attention-on device, or --kv-on disk"},
      {{.kv_on = "tape"}, 0, "--kv-on is 'tape'; host or disk"},
      {{.attention_on = "device", .kv_on = "disk"}, kGiB, "is for attention on the host"},
      {{.attention_on = "device", .resident_kv = 1.5}, kGiB, "--resident-kv must be between"}};
  for (const auto& c : cases) {
    const auto plan = fit_plan(small(), with_experts(), c.wishes,
                               {.available_memory = kGiB, .device_memory = c.device});
    ASSERT_FALSE(plan.ok()) << c.said;
    EXPECT_NE(plan.error().message.find(c.said), std::string::npos) << plan.error().message;
  }
}

}  // namespace
}  // namespace sluice::plan
