#include <gtest/gtest.h>

#include "models/family.h"
#include "models/stage.h"

namespace sluice::models {
namespace {

// Mixtral-8x7B's shape.
ModelConfig mixtral_8x7b() {
  return read_config(
             base::parse_json(
                 R"({"architectures":["MixtralForCausalLM"],"hidden_size":4096,"vocab_size":32000,
    "num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":8,"intermediate_size":14336,
    "num_local_experts":8,"num_experts_per_tok":2})")
                 .value())
      .value();
}

// The weights that all stages of a one-token pass read are the model's active parameters.
TEST(Cost, OneTokenReadsTheActiveParameters) {
  const ModelConfig config = mixtral_8x7b();
  const WeightBytes one{.dense = 1, .expert = 1, .router = 1};
  const Load load{.tokens = 1,
                  .visible_keys = 1,
                  .context_tokens = 1,
                  .expert_tokens = 2,
                  .active_experts = 2,
                  .logit_rows = 1};
  double bytes = 0;
  double flops = 0;
  for (int layer = -1; layer < config.layer_count(); ++layer) {
    const auto add = [&](StageKind kind) {
      const Cost cost = stage_cost(config, {kind, static_cast<int16_t>(layer), 0, 8}, load, one);
      bytes += cost.weight_bytes;
      flops += cost.flops;
    };
    if (layer < 0) {
      add(StageKind::kEmbed);
      add(StageKind::kHead);
      continue;
    }
    for (StageKind kind :
         {StageKind::kQkv, StageKind::kAttend, StageKind::kOProj, StageKind::kRoute,
          StageKind::kDispatch, StageKind::kExpertGroup, StageKind::kCombine}) {
      add(kind);
    }
  }
  const ParameterCount all = count_parameters(config);
  EXPECT_EQ(bytes, static_cast<double>(active_parameters(config) - all.norms));
  // Two FLOPs a weight, and little more.
  EXPECT_GT(flops, 2 * (bytes - 4096));
  EXPECT_LT(flops, 2.01 * bytes);
}

TEST(Cost, AttentionReadsTheCacheOncePerSequence) {
  const ModelConfig config = mixtral_8x7b();
  const Load decode{.tokens = 4, .visible_keys = 4 * 1000, .context_tokens = 4 * 1000};
  const auto cost = [&](StageKind kind, kernels::KvDType dtype) {
    return stage_cost(config, {kind, 0, 0, 0}, decode, {.kv = dtype});
  };
  const Cost attend = cost(StageKind::kAttend, kernels::KvDType::kBF16);
  // What is there already, and what the four rows add.
  EXPECT_EQ(attend.kv_bytes, (4 * 1000.0 + 4) * 2 * 8 * 128 * 2);
  EXPECT_EQ(attend.weight_bytes, 0);
  // Codes, and a scale of each head's key and value.
  EXPECT_EQ(cost(StageKind::kAttend, kernels::KvDType::kQ8).kv_bytes,
            (4 * 1000.0 + 4) * 2 * 8 * (128 + 4));
  EXPECT_EQ(cost(StageKind::kQkv, kernels::KvDType::kQ8).kv_bytes, 0);
}

TEST(Cost, ExpertsReadOnlyTheActive) {
  const ModelConfig config = mixtral_8x7b();
  const Load load{.tokens = 64, .expert_tokens = 128, .active_experts = 5};
  const Cost cost = stage_cost(config, {StageKind::kExpertGroup, 3, 0, 8}, load, {.expert = 0.5});
  EXPECT_EQ(cost.weight_bytes, 5 * 3.0 * 4096 * 14336 * 0.5);
}

}  // namespace
}  // namespace sluice::models
