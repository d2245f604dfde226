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

TEST(Fit, TheCacheIsAsWideAsTheWeightsUnlessAskedFor) {
  using kernels::KvDType;
  using tensor::DType;
  const auto plan = [](const FitWishes& wishes) {
    return fit_plan(small(), 1 << 20, wishes, {.available_memory = 8 * kGiB, .cores = 2});
  };
  const struct {
    DType stored;
    KvDType kv;
  } automatic[] = {{DType::kF32, KvDType::kF32},
                   {DType::kBF16, KvDType::kBF16},
                   {DType::kF16, KvDType::kF16},
                   {DType::kQ4_K, KvDType::kF16}};
  for (const auto& c : automatic) EXPECT_EQ(plan({.stored = c.stored})->kv_dtype, c.kv);
  const struct {
    const char* name;
    int64_t block;
  } asked[] = {{"f32", kBlock},
               {"f16", kBlock / 2},
               {"bf16", kBlock / 2},
               {"q8", kBlock / 4 + 2 * 32 * 2 * 4 * 4}};  // scales of 4 heads
  for (const auto& c : asked) {
    const auto made = plan({.kv_dtype = c.name, .stored = DType::kBF16});
    EXPECT_STREQ(kernels::name(made->kv_dtype), c.name);
    EXPECT_EQ(made->kv_bytes, made->kv_blocks * c.block);
  }
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
  // Half the bytes, twice the tokens.
  const FitWishes half{.max_seq_len = 4096, .kv_cache_memory = 10 * kBlock, .kv_dtype = "bf16"};
  const auto other = fit_plan(small(), 1 << 20, half, {.available_memory = kGiB, .cores = 1});
  EXPECT_NE(other.error().message.find("KV cache in bf16"), std::string::npos);
  EXPECT_NE(other.error().message.find("--max-seq-len 640 would fit"), std::string::npos)
      << other.error().message;

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
               {{.kv_block_tokens = 20}, "--kv-block-tokens"},
               {{.kv_dtype = "q4"}, "--kv-dtype"}};
  for (const auto& c : cases) {
    const auto plan = fit_plan(small(), 1 << 20, c.wishes, {.available_memory = kGiB, .cores = 1});
    ASSERT_FALSE(plan.ok()) << c.named;
    EXPECT_NE(plan.error().message.find(c.named), std::string::npos) << plan.error().message;
  }
}

}  // namespace
}  // namespace sluice::engine
