#include "models/shape.h"

#include <gtest/gtest.h>

#include "models/stage.h"

namespace sluice::models {
namespace {

// Weights that the stages of one pass over everything read.
double stated_weights(const ModelConfig& config, bool active) {
  const WeightBytes one{.dense = 1, .expert = 1, .router = 1};
  double weights = 0;
  const auto add = [&](StageKind kind, int layer, const Load& load) {
    weights +=
        stage_cost(config, {kind, static_cast<int16_t>(layer), 0, 1}, load, one).weight_bytes;
  };
  add(StageKind::kHead, -1, {.logit_rows = 1});
  for (int layer = 0; layer < config.layer_count(); ++layer) {
    const FfnConfig& ffn = config.layers[static_cast<size_t>(layer)].ffn;
    const int64_t experts = active ? ffn.top_k : ffn.experts;
    for (StageKind kind : {StageKind::kQkv, StageKind::kOProj, StageKind::kRoute})
      add(kind, layer, {.tokens = 1});
    if (ffn.is_moe()) add(StageKind::kExpertGroup, layer, {.active_experts = experts});
    if (!ffn.is_moe() || ffn.shared_inter > 0) add(StageKind::kShared, layer, {.tokens = 1});
  }
  return weights + double{1} * config.hidden * config.vocab * (config.tied_embeddings ? 0 : 1);
}

// The parameters that their authors state, all and active, in billions.
TEST(Shape, PublishedModelsHaveTheirPublishedSizes) {
  const struct {
    const char* name;
    double all, active;
  } cases[] = {
      {"mixtral-8x7b", 46.7, 12.9}, {"mixtral-8x22b", 141, 39}, {"dbrx", 132, 36},
      {"deepseek-v3", 671, 37},     {"kimi-k2", 1026, 32},      {"gpt-oss-120b", 117, 5.7},
      {"qwen3-235b-a22b", 235, 22}, {"glm-4.5", 355, 32},       {"llama-3.1-405b", 405, 405},
      {"qwen3-30b-a3b", 30.5, 3.3}, {"olmoe-1b-7b", 6.9, 1.3}};
  ASSERT_EQ(std::size(cases), known_shapes().size());
  for (const auto& c : cases) {
    const auto config = known_shape(c.name);
    ASSERT_TRUE(config.ok()) << c.name << ": " << config.error().message;
    EXPECT_NEAR(stated_weights(*config, false) / 1e9, c.all, 0.02 * c.all) << c.name;
    EXPECT_NEAR(stated_weights(*config, true) / 1e9, c.active, 0.07 * c.active + 0.1) << c.name;
  }
}

TEST(Shape, ALatentCacheHoldsOneVectorForAllHeads) {
  const ModelConfig config = known_shape("deepseek-v3").value();
  // 512 + 64 values of 2 bytes in each of 61 layers.
  EXPECT_EQ(kv_bytes_per_token(config, kernels::KvDType::kBF16), 61 * 576 * 2);
  const Load decode{.tokens = 1, .visible_keys = 1000, .context_tokens = 1000};
  const Cost attend =
      stage_cost(config, {StageKind::kAttend, 5}, decode, {.kv = kernels::KvDType::kBF16});
  EXPECT_EQ(attend.kv_bytes, 1001 * 576 * 2);
  EXPECT_EQ(attend.flops, 128 * 1000.0 * (2 * 576 + 2 * 512 + 5));
}

TEST(Shape, AWindowBoundsWhatATokenAttendsTo) {
  const ModelConfig config = known_shape("gpt-oss-120b").value();
  const Load decode{.tokens = 2, .visible_keys = 2 * 1000, .context_tokens = 2 * 1000};
  const auto kv = [&](int layer) {
    return stage_cost(config, {StageKind::kAttend, static_cast<int16_t>(layer)}, decode, {})
        .kv_bytes;
  };
  EXPECT_EQ(kv(0) / kv(1), (2.0 + 2 * 128) / (2 + 2 * 1000));
}

TEST(Shape, NamesWhatIsMissing) {
  const auto without = [](const char* key) {
    Json json = base::parse_json(known_shapes()[3].config).value();
    json.erase(key);
    return read_shape(json).error().message;
  };
  EXPECT_EQ(without("hidden_size"), "config.json: 'hidden_size' is missing");
  EXPECT_EQ(without("v_head_dim"), "config.json: 'v_head_dim' is missing");
  EXPECT_NE(without("architectures").find("'architectures'"), std::string::npos);
  EXPECT_NE(known_shape("gpt-9").error().message.find("deepseek-v3"), std::string::npos);
}

}  // namespace
}  // namespace sluice::models
