#include <gtest/gtest.h>

#include "models/family.h"
#include "models/hf_config.h"

namespace sluice::models {
namespace {

Json mixtral() {
  return base::parse_json(
             R"({"architectures":["MixtralForCausalLM"],"model_type":"mixtral","hidden_size":64,
    "vocab_size":100,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"intermediate_size":96,
    "num_local_experts":4,"num_experts_per_tok":2,"max_position_embeddings":512,"rms_norm_eps":1e-5,
    "rope_theta":10000.0,"hidden_act":"silu","sliding_window":null,"eos_token_id":[2,3],"bos_token_id":1})")
      .value();
}

Json qwen3() {
  return base::parse_json(
             R"({"architectures":["Qwen3MoeForCausalLM"],"hidden_size":64,"vocab_size":100,
    "num_hidden_layers":4,"num_attention_heads":4,"num_key_value_heads":2,"head_dim":32,"intermediate_size":96,
    "moe_intermediate_size":48,"num_experts":8,"num_experts_per_tok":2,"decoder_sparse_step":2,
    "mlp_only_layers":[3],"norm_topk_prob":true,"max_position_embeddings":512})")
      .value();
}

TEST(Config, ReadsMixtral) {
  const ModelConfig model = read_config(mixtral()).value();
  EXPECT_EQ(model.family, "mixtral");
  EXPECT_EQ(model.layer_count(), 2);
  EXPECT_EQ(model.layers[1].ffn,
            (FfnConfig{.inter = 96, .experts = 4, .top_k = 2, .renormalize = true}));
  EXPECT_EQ(model.layers[0].attention.head_dim, 16);
  EXPECT_EQ(model.eos, (std::vector<int32_t>{2, 3}));
  EXPECT_EQ(model.max_top_k(), 2);
}

TEST(Config, SparseStepAndDenseExceptions) {
  const ModelConfig model = read_config(qwen3()).value();
  EXPECT_FALSE(model.layers[0].ffn.is_moe());
  EXPECT_TRUE(model.layers[1].ffn.is_moe());
  EXPECT_FALSE(model.layers[2].ffn.is_moe());
  EXPECT_FALSE(model.layers[3].ffn.is_moe());  // named in mlp_only_layers
  EXPECT_EQ(model.layers[1].ffn.inter, 48);
  EXPECT_EQ(model.layers[0].ffn.inter, 96);
}

TEST(Config, RefusesByName) {
  const struct {
    const char* key;
    Json value;
    const char* named;
  } cases[] = {
      {"architectures", Json::array({"GPT2LMHeadModel"}), "GPT2LMHeadModel"},
      {"hidden_act", "gelu", "'gelu'"},
      {"hidden_size", nullptr, "'hidden_size'"},
      {"hidden_size", "64", "'hidden_size'"},
      {"hidden_size", -1, "'hidden_size'"},
      {"num_hidden_layers", 1000000, "'num_hidden_layers'"},
      {"num_key_value_heads", 3, "'num_key_value_heads'"},
      {"num_experts_per_tok", 5, "'num_experts_per_tok'"},
      {"rms_norm_eps", 0, "'rms_norm_eps'"},
      {"quantization_config", Json::object({{"quant_method", "awq"}}), "'quantization_config'"},
      {"attn_logit_softcapping", 30.0, "'attn_logit_softcapping'"},
      {"rope_scaling", Json::object({{"type", "su"}}), "'su'"},
      {"rope_scaling", Json::object({{"rope_type", "linear"}}), "'factor'"},
      {"partial_rotary_factor", 0.5, "'partial_rotary_factor'"},
  };
  for (const auto& c : cases) {
    Json json = mixtral();
    json[c.key] = c.value;
    const auto model = read_config(json);
    ASSERT_FALSE(model.ok()) << c.key << " " << c.value;
    EXPECT_NE(model.error().message.find(c.named), std::string::npos) << model.error().message;
  }
}

TEST(Config, AWindowBoundsThePositions) {
  Json json = mixtral();
  json["sliding_window"] = 128;
  EXPECT_EQ(read_config(json).value().max_positions, 128);
  Json qwen = qwen3();
  qwen["sliding_window"] = 128;
  EXPECT_EQ(read_config(qwen).value().max_positions, 512);
  qwen["use_sliding_window"] = true;
  EXPECT_EQ(read_config(qwen).value().max_positions, 128);
}

TEST(Config, ScaledRopeStretchesThePositions) {
  Json json = mixtral();
  json["rope_scaling"] = {{"rope_type", "dynamic"}, {"factor", 4.0}};
  EXPECT_EQ(read_config(json).value().max_positions, 2048);
  json["rope_scaling"] = {
      {"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 128}};
  EXPECT_EQ(read_config(json).value().max_positions, 512);
}

TEST(Config, TwoNamesOfTheExpertsMustAgree) {
  Json json = qwen3();
  json["num_local_experts"] = 8;
  EXPECT_TRUE(read_config(json).ok());
  json["num_local_experts"] = 16;
  EXPECT_NE(read_config(json).error().message.find("'num_local_experts'"), std::string::npos);
}

TEST(Config, TensorTableNamesEveryTensorOnce) {
  const ModelConfig model = read_config(mixtral()).value();
  const auto table = tensor_table(model, kMixtral.names());
  std::set<std::string> names;
  for (const TensorSlot& tensor : table)
    EXPECT_TRUE(names.insert(tensor.name).second) << tensor.name;
  EXPECT_EQ(table.size(), 3u + 2 * (6 + 1 + 4 * 3));
  EXPECT_TRUE(names.contains("model.layers.1.block_sparse_moe.experts.3.w2.weight"));
}

TEST(Config, CountsParameters) {
  const ModelConfig model = read_config(mixtral()).value();
  const ParameterCount count = count_parameters(model);
  EXPECT_EQ(count.experts, 2 * 4 * 3 * 64 * 96);
  EXPECT_EQ(count.attention, 2 * (64 * 64 * 2 + 32 * 64 * 2));
  EXPECT_EQ(count.embedding, 6400);
  EXPECT_EQ(count.head, 6400);
  EXPECT_EQ(active_parameters(model),
            64 + count.attention + count.router + count.experts / 2 + count.norms + 6400);
}

}  // namespace
}  // namespace sluice::models
