#include "engine/fit.h"

#include <gtest/gtest.h>

#include "models/family.h"

namespace sluice::engine {
namespace {

models::ModelConfig small() {
  return models::read_config(
             base::parse_json(
                 R"({"architectures":["LlamaForCausalLM"],"hidden_size":64,"vocab_size":1000,
    "num_hidden_layers":2,"num_attention_heads":4,"intermediate_size":96,"max_position_embeddings":4096})")
                 .value())
      .value();
}

constexpr int64_t kGiB = int64_t{1} << 30;
constexpr int64_t kBlock = 2 * 32 * 2 * 64 * 4;  // layers, tokens, K and V, width, f32

TEST(Fit, DefaultsFitAndAddUp) {
  const auto plan = fit_plan(small(), 1 << 20, {}, {.available_memory = 8 * kGiB, .cores = 2});
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  EXPECT_EQ(plan->policy.batch, 64);
  EXPECT_EQ(plan->micro_batches(), 1);
  EXPECT_EQ(plan->max_seq_len, 4096);
  EXPECT_EQ(plan->kv_bytes, plan->kv_blocks * kBlock);
  EXPECT_LE(plan->total_bytes(), 8 * kGiB);
  EXPECT_EQ(plan->threads, 2);
}

TEST(Fit, ALengthNobodyAskedForShrinks) {
  const FitWishes wishes{.max_num_tokens = 64, .kv_cache_memory = 10 * kBlock};
  const auto plan = fit_plan(small(), 1 << 20, wishes, {.available_memory = kGiB, .cores = 1});
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  EXPECT_EQ(plan->max_seq_len, 10 * 32);
}

TEST(Fit, RefusesWithNumbersAndTheNearestThatFits) {
  const FitWishes wishes{.max_seq_len = 4096, .kv_cache_memory = 10 * kBlock};
  const auto plan = fit_plan(small(), 1 << 20, wishes, {.available_memory = kGiB, .cores = 1});
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().code, ErrorCode::kNoRoom);
  EXPECT_NE(plan.error().message.find("--max-seq-len 320 would fit"), std::string::npos)
      << plan.error().message;

  const auto large = fit_plan(small(), 2 * kGiB, {}, {.available_memory = kGiB, .cores = 1});
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
               {{.kv_block_tokens = 20}, "--kv-block-tokens"}};
  for (const auto& c : cases) {
    const auto plan = fit_plan(small(), 1 << 20, c.wishes, {.available_memory = kGiB, .cores = 1});
    ASSERT_FALSE(plan.ok()) << c.named;
    EXPECT_NE(plan.error().message.find(c.named), std::string::npos) << plan.error().message;
  }
}

}  // namespace
}  // namespace sluice::engine
