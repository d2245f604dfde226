#include "models/gguf_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>

#include "models/rope_config.h"
#include "weights/gguf_test_file.h"
#include "weights/test_files.h"

namespace sluice::models {
namespace {

using ::testing::HasSubstr;
using weights::GgufTestFile;

constexpr uint32_t kF32 = 0, kF16 = 1;

// The keys of a small file, by name, so that a test can change or drop one.
using Keys = std::map<std::string, std::function<void(GgufTestFile&, const std::string&)>>;

auto whole(uint32_t value) {
  return [value](GgufTestFile& file, const std::string& key) { file.number(key, value); };
}
auto real(float value) {
  return [value](GgufTestFile& file, const std::string& key) { file.number(key, value); };
}
auto flag(bool value) {
  return [value](GgufTestFile& file, const std::string& key) { file.number(key, value); };
}
auto text(std::string value) {
  return [value](GgufTestFile& file, const std::string& key) { file.text(key, value); };
}
auto wholes(std::vector<uint32_t> values) {
  return [values](GgufTestFile& file, const std::string& key) { file.numbers(key, values); };
}

Keys keys_of(const std::string& arch) {
  return {{"general.architecture", text(arch)},
          {"general.name", text("small")},
          {arch + ".context_length", whole(512)},
          {arch + ".embedding_length", whole(24)},
          {arch + ".block_count", whole(2)},
          {arch + ".feed_forward_length", whole(5)},
          {arch + ".attention.head_count", whole(3)},
          {arch + ".attention.layer_norm_rms_epsilon", real(1e-5f)},
          {arch + ".vocab_size", whole(10)},
          {"tokenizer.ggml.eos_token_id", whole(2)}};
}

Keys mixtral() {
  Keys keys = keys_of("llama");
  keys["llama.attention.head_count_kv"] = whole(1);
  keys["llama.expert_count"] = whole(4);
  keys["llama.expert_used_count"] = whole(2);
  keys["llama.rope.freq_base"] = real(1e6f);
  keys["llama.rope.dimension_count"] = whole(8);
  return keys;
}

class GgufModelTest : public weights::WeightsDirectory {
 protected:
  // A file with these keys, an expert stack in each of two layers, and `tensors` besides.
  Result<FamilyModel> read(const Keys& keys, const std::vector<std::string>& tensors = {},
                           int64_t experts = 4) {
    GgufTestFile file;
    for (const auto& [key, write] : keys) write(file, key);
    for (const std::string& name : tensors) file.tensor(name, {4}, kF32, divisors_);
    for (int layer = 0; layer < 2 && experts > 0; ++layer)
      file.tensor("blk." + std::to_string(layer) + ".ffn_gate_exps.weight", {experts, 1, 1}, kF16,
                  std::string(static_cast<size_t>(experts) * 2, '\0'));
    auto checkpoint = weights::open_checkpoint(write("m.gguf", file.write()));
    if (!checkpoint) return checkpoint.error();
    checkpoint_ = std::make_unique<weights::Checkpoint>(std::move(*checkpoint));
    return read_gguf_model(*checkpoint_);
  }
  std::string error(const Keys& keys, const std::vector<std::string>& tensors = {}) {
    const auto model = read(keys, tensors);
    return model ? "read" : model.error().message;
  }

  std::string divisors_ = std::string(16, '\0');
  std::unique_ptr<weights::Checkpoint> checkpoint_;
};

TEST_F(GgufModelTest, ReadsMixtral) {
  const auto read = this->read(mixtral(), {"output.weight"});
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->family, &kMixtral);
  const ModelConfig& model = read->config;
  EXPECT_EQ(model.architecture, "MixtralForCausalLM");
  EXPECT_EQ(model.hidden, 24);
  EXPECT_EQ(model.vocab, 10);
  EXPECT_EQ(model.max_positions, 512);
  EXPECT_EQ(model.norm_eps, 1e-5f);
  EXPECT_FALSE(model.tied_embeddings);
  EXPECT_EQ(model.rope.kind, RopeKind::kDefault);
  EXPECT_EQ(model.rope.theta, 1e6);
  EXPECT_EQ(model.eos, std::vector<int32_t>{2});
  ASSERT_EQ(model.layer_count(), 2);
  const AttentionConfig& attention = model.layers[1].attention;
  EXPECT_EQ(attention.q_heads, 3);
  EXPECT_EQ(attention.kv_heads, 1);
  EXPECT_EQ(attention.head_dim, 8);
  EXPECT_EQ(attention.scale, static_cast<float>(1 / std::sqrt(8.0)));
  EXPECT_FALSE(attention.qkv_bias);
  const FfnConfig& ffn = model.layers[1].ffn;
  EXPECT_EQ(ffn.experts, 4);
  EXPECT_EQ(ffn.top_k, 2);
  EXPECT_EQ(ffn.inter, 5);
  EXPECT_TRUE(ffn.renormalize);
}

TEST_F(GgufModelTest, ReadsTheOtherArchitectures) {
  auto read = this->read(keys_of("llama"), {"blk.0.attn_q.bias", "blk.0.attn_output.bias"});
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->family, &kLlama);
  EXPECT_TRUE(read->config.tied_embeddings);
  EXPECT_TRUE(read->config.layers[0].attention.qkv_bias);
  EXPECT_TRUE(read->config.layers[0].attention.o_bias);
  EXPECT_FALSE(read->config.layers[0].ffn.bias);
  EXPECT_EQ(read->config.layers[0].attention.kv_heads, 3);
  EXPECT_EQ(read->config.rope.theta, 10000);

  Keys keys = keys_of("qwen3moe");
  keys["qwen3moe.expert_count"] = whole(4);
  keys["qwen3moe.expert_used_count"] = whole(2);
  keys["qwen3moe.expert_feed_forward_length"] = whole(3);
  keys["qwen3moe.attention.key_length"] = whole(16);
  keys["qwen3moe.attention.value_length"] = whole(16);
  read = this->read(keys);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->family, &kQwen3Moe);
  EXPECT_EQ(read->config.layers[0].attention.head_dim, 16);
  EXPECT_EQ(read->config.layers[0].attention.qk_norm, QkNorm::kPerHead);
  EXPECT_EQ(read->config.layers[0].ffn.inter, 3);
  EXPECT_TRUE(read->config.layers[0].ffn.renormalize);
  keys["qwen3moe.expert_weights_norm"] = flag(false);
  EXPECT_FALSE(this->read(keys)->config.layers[0].ffn.renormalize);

  keys = keys_of("olmoe");
  keys["olmoe.expert_count"] = whole(4);
  keys["olmoe.expert_used_count"] = whole(2);
  read = this->read(keys);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->family, &kOlmoe);
  EXPECT_EQ(read->config.layers[0].attention.qk_norm, QkNorm::kFullWidth);
  EXPECT_FALSE(read->config.layers[0].ffn.renormalize);
  EXPECT_FALSE(read->config.layers[0].attention.clip_qkv);
  keys["olmoe.attention.clamp_kqv"] = real(8);
  EXPECT_EQ(this->read(keys)->config.layers[0].attention.clip_qkv, 8.0f);
}

TEST_F(GgufModelTest, ReadsRope) {
  Keys keys = mixtral();
  keys["llama.rope.scaling.factor"] = real(4);
  auto rope = read(keys)->config.rope;
  EXPECT_EQ(rope.kind, RopeKind::kLinear);  // what an absent type means
  EXPECT_EQ(rope.factor, 4);
  EXPECT_EQ(read(keys)->config.max_positions, 2048);
  keys["llama.rope.scaling.type"] = text("none");
  EXPECT_EQ(read(keys)->config.rope.kind, RopeKind::kDefault);
  keys["llama.rope.scaling.type"] = text("yarn");
  keys["llama.rope.scaling.original_context_length"] = whole(256);
  rope = read(keys)->config.rope;
  EXPECT_EQ(rope.kind, RopeKind::kYarn);
  EXPECT_EQ(rope.original_max_positions, 256);
  EXPECT_EQ(rope.beta_fast, 32);
  EXPECT_EQ(rope.beta_slow, 1);
  EXPECT_EQ(rope.attention_factor, 0.1 * std::log(4.0) + 1);
  EXPECT_EQ(read(keys)->config.max_positions, 1024);
  keys["llama.rope.scaling.yarn_attn_factor"] = real(1.5f);
  keys["llama.rope.scaling.yarn_beta_fast"] = real(16);
  EXPECT_EQ(read(keys)->config.rope.attention_factor, 1.5);
  EXPECT_EQ(read(keys)->config.rope.beta_fast, 16);

  keys = mixtral();
  keys["llama.rope.scale_linear"] = real(2);
  EXPECT_EQ(read(keys)->config.rope.factor, 2);

  divisors_.clear();
  for (const float divisor : {1.0f, 1.0f, 2.5f, 8.0f})
    divisors_ += weights::little_endian_bytes(divisor);
  rope = read(mixtral(), {"rope_freqs.weight"})->config.rope;
  EXPECT_EQ(rope.kind, RopeKind::kDivided);
  RopeConfig plain = rope;
  plain.kind = RopeKind::kDefault;
  float scaled[4];
  float unscaled[4];
  rope_frequencies(rope, 8, 1, scaled);
  rope_frequencies(plain, 8, 1, unscaled);
  EXPECT_EQ(scaled[1], unscaled[1]);
  EXPECT_EQ(scaled[2], unscaled[2] / 2.5f);
  EXPECT_EQ(scaled[3], unscaled[3] / 8);
  EXPECT_THAT(error(keys, {"rope_freqs.weight"}), HasSubstr("beside a scaling of another kind"));
}

TEST_F(GgufModelTest, AWindowLimitsThePositions) {
  Keys keys = mixtral();
  keys["llama.attention.sliding_window"] = whole(128);
  EXPECT_EQ(read(keys)->config.max_positions, 128);
  keys["llama.attention.sliding_window"] = whole(0);
  EXPECT_EQ(read(keys)->config.max_positions, 512);
}

TEST_F(GgufModelTest, ValuesOfEachLayerMustAgree) {
  Keys keys = mixtral();
  keys["llama.attention.head_count"] = wholes({3, 3});
  EXPECT_EQ(error(keys), "read");
  keys["llama.attention.head_count"] = wholes({3, 6});
  EXPECT_THAT(error(keys), HasSubstr("'llama.attention.head_count' differs between layers"));
  keys["llama.attention.head_count"] = wholes({});
  EXPECT_THAT(error(keys), HasSubstr("'llama.attention.head_count' is not a whole number"));
}

TEST_F(GgufModelTest, RefusesWhatItDoesNotKnowByName) {
  const struct {
    const char* key;
    std::function<void(GgufTestFile&, const std::string&)> value;
    const char* says;
  } cases[] = {
      {"general.architecture", text("gemma3"),
       "'gemma3' is not supported; these are: llama, qwen3moe, olmoe"},
      {"general.architecture", text("l\xff"), "'l\\xff' is not supported"},
      {"general.architecture", whole(1), "'' is not supported"},
      {"general.type", text("adapter"), "'general.type' is 'adapter'"},
      {"llama.block_count", whole(0), "'llama.block_count' is 0, outside 1 to 4096"},
      {"llama.block_count", whole(5000), "'llama.block_count' is 5000"},
      {"llama.block_count", text("2"), "'llama.block_count' is not a whole number"},
      {"llama.block_count", nullptr, "'llama.block_count' is missing"},
      {"llama.context_length", nullptr, "'llama.context_length' is missing"},
      {"llama.feed_forward_length", nullptr, "'llama.feed_forward_length' is missing"},
      {"llama.attention.layer_norm_rms_epsilon", nullptr, "epsilon' is missing"},
      {"llama.attention.layer_norm_rms_epsilon", real(-1), "epsilon' must be positive"},
      {"llama.attention.layer_norm_rms_epsilon", real(NAN), "epsilon' is not a finite"},
      {"llama.attention.head_count", whole(5), "'llama.embedding_length' is not a multiple"},
      {"llama.attention.head_count_kv", whole(2), "is not a multiple of 'llama.attention.head"},
      {"llama.attention.key_length", whole(7), "'llama.attention.key_length' must be even"},
      {"llama.attention.value_length", whole(16), "'llama.attention.value_length' other than"},
      {"llama.rope.dimension_count", whole(4), "'llama.rope.dimension_count' other than"},
      {"llama.rope.freq_base", real(0.5f), "'llama.rope.freq_base' must be above 1"},
      {"llama.rope.scaling.type", text("longrope"), "is 'longrope'; none, linear and yarn"},
      {"llama.rope.scaling.factor", real(-2), "'llama.rope.scaling.factor' must be positive"},
      {"llama.rope.scaling.attn_factor", real(2), "'llama.rope.scaling.attn_factor' is 2.0"},
      {"llama.rope.scaling.alpha", real(1), "'llama.rope.scaling.alpha' is 1.0"},
      {"llama.rope.dimension_sections", wholes({1, 2}), "'llama.rope.dimension_sections' may"},
      {"llama.attention.causal", flag(false), "'llama.attention.causal' is false"},
      {"llama.attention.scale", real(0.5f), "'llama.attention.scale' may change the result"},
      {"llama.attn_logit_softcapping", real(30), "'llama.attn_logit_softcapping' may change"},
      {"llama.vocab_size", nullptr, "'llama.vocab_size' and 'tokenizer.ggml.tokens'"},
      {"llama.expert_used_count", whole(5), "is more than 'llama.expert_count'"},
      {"llama.expert_used_count", nullptr, "'llama.expert_used_count' is missing"},
      {"llama.expert_gating_func", whole(2), "'llama.expert_gating_func' is 2"},
      {"llama.expert_weights_scale", real(2.5f), "'llama.expert_weights_scale' is 2.5"},
      {"llama.expert_weights_norm", whole(1), "'llama.expert_weights_norm' is neither"},
      {"llama.expert_shared_count", whole(1), "'llama.expert_shared_count' is 1"},
      {"llama.expert_group_count", whole(4), "'llama.expert_group_count' is 4"},
      {"llama.expert_feed_forward_length", whole(9), "'llama.expert_feed_forward_length' other"},
      {"llama.leading_dense_block_count", whole(1), "'llama.leading_dense_block_count' is 1"},
      {"llama.tensor_data_layout", text("x"), "'llama.tensor_data_layout' is not known"},
  };
  for (const auto& bad : cases) {
    Keys keys = mixtral();
    if (bad.value) {
      keys[bad.key] = bad.value;
    } else {
      keys.erase(bad.key);
    }
    EXPECT_THAT(error(keys), HasSubstr(bad.says)) << bad.key;
  }
  for (const float divisor : {0.0f, -1.0f, NAN, INFINITY}) {
    divisors_ = std::string(12, '\0') + weights::little_endian_bytes(divisor);
    EXPECT_THAT(error(mixtral(), {"rope_freqs.weight"}), HasSubstr("is not positive"));
  }
}

TEST_F(GgufModelTest, ExpertsMustLieInStacks) {
  const auto says = [](const Result<FamilyModel>& model) {
    return model ? "read" : model.error().message;
  };
  EXPECT_THAT(says(read(mixtral(), {}, 3)),
              HasSubstr("is [3, 1, 1], but 'llama.expert_count' is 4"));
  EXPECT_THAT(says(read(mixtral(), {}, 0)), HasSubstr("'blk.0.ffn_gate_exps.weight' is missing"));
  EXPECT_THAT(says(read(mixtral(), {"blk.0.ffn_gate.0.weight"}, 0)),
              HasSubstr("convert the model"));
}

}  // namespace
}  // namespace sluice::models
