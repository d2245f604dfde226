// The architectures as llama.cpp names them: what it reads from a file, and what it takes as given.
// https://github.com/ggml-org/llama.cpp/tree/master/src/models
#include "models/gguf_model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "models/gguf_config.h"
#include "models/gguf_rope.h"
#include "models/rope_config.h"
#include "models/tensors.h"
#include "weights/quote.h"

namespace sluice::models {
namespace {

std::string layer_tensor(int64_t layer, const char* stem) {
  return kGgufNames.layers + std::to_string(layer) + "." + stem;
}

// Biases are there or not; that all layers agree is checked when tensors are matched.
bool has_bias(const GgufConfig& config, const char* stem) {
  return config.has_tensor(layer_tensor(0, stem) + ".bias");
}

AttentionConfig read_attention(GgufConfig& config, int64_t hidden) {
  const int64_t heads = config.size("attention.head_count", kMaxHeads);
  const int64_t kv_heads =
      config.optional_size("attention.head_count_kv", kMaxHeads).value_or(heads);
  const auto key_length = config.optional_size("attention.key_length", kMaxHeadDim);
  const int64_t head_dim = key_length.value_or(std::max<int64_t>(hidden / heads, 1));
  if (!key_length && hidden % heads != 0)
    config.fail(ErrorCode::kInvalid, config.quoted("embedding_length") + " is not a multiple of " +
                                         config.quoted("attention.head_count") + ", and " +
                                         config.quoted("attention.key_length") + " is missing");
  if (heads % kv_heads != 0)
    config.fail(ErrorCode::kInvalid, config.quoted("attention.head_count") +
                                         " is not a multiple of " +
                                         config.quoted("attention.head_count_kv"));
  if (head_dim % 2 != 0 || head_dim < 4 || head_dim > kMaxHeadDim)
    config.fail(ErrorCode::kInvalid, config.quoted("attention.key_length") +
                                         " must be even and from 4 to " +
                                         std::to_string(kMaxHeadDim) + " for rotary embeddings");
  for (const char* key : {"attention.value_length", "rope.dimension_count"}) {
    if (config.optional_size(key).value_or(head_dim) != head_dim)
      config.fail(ErrorCode::kUnsupported, config.quoted(key) + " other than the head's size, " +
                                               std::to_string(head_dim) + ", is not supported");
  }
  AttentionConfig attention;
  attention.q_heads = static_cast<int>(heads);
  attention.kv_heads = static_cast<int>(kv_heads);
  attention.head_dim = static_cast<int>(head_dim);
  attention.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
  attention.qkv_bias = has_bias(config, kGgufNames.q);
  attention.o_bias = has_bias(config, kGgufNames.o);
  return attention;
}

std::optional<int32_t> token_id(const GgufConfig& config, const char* key) {
  const auto id = config.metadata().whole(key);
  if (!id || *id < 0 || *id > INT32_MAX) return std::nullopt;
  return static_cast<int32_t>(*id);
}

int64_t read_vocab(GgufConfig& config) {
  constexpr int64_t kMaxVocab = int64_t{1} << 24;
  if (const auto stated = config.optional_size("vocab_size", kMaxVocab)) return *stated;
  const weights::GgufValue* tokens = config.metadata().find("tokenizer.ggml.tokens");
  if (tokens != nullptr && tokens->is_array && tokens->count >= 1 && tokens->count <= kMaxVocab)
    return tokens->count;
  // A file without a tokenizer: the rows of its embedding.
  const std::string name = std::string(kGgufNames.embedding) + ".weight";
  const std::vector<int64_t>* embedding = config.dims_of(name);
  if (embedding != nullptr && embedding->size() == 2 && embedding->front() <= kMaxVocab)
    return embedding->front();
  config.fail(ErrorCode::kInvalid,
              config.quoted("vocab_size") + " and 'tokenizer.ggml.tokens' are missing");
  return 1;
}

// What all architectures share; every layer gets the attention and an empty FFN.
ModelConfig read_decoder(GgufConfig& config, const Family& family) {
  ModelConfig model;
  model.architecture = family.architecture;
  model.family = family.name;
  model.hidden = static_cast<int>(config.size("embedding_length", kMaxHidden));
  model.vocab = static_cast<int>(read_vocab(config));
  model.max_positions = config.size("context_length", kMaxPositions);
  model.norm_eps = static_cast<float>(config.real("attention.layer_norm_rms_epsilon"));
  model.tied_embeddings = !config.has_tensor(std::string(kGgufNames.head) + ".weight");
  const AttentionConfig attention = read_attention(config, model.hidden);
  model.layers.assign(static_cast<size_t>(config.size("block_count", kMaxLayers)), {attention, {}});
  model.rope = read_gguf_rope(config, attention.head_dim, model.max_positions);
  model.max_positions = scaled_positions(model.rope, model.max_positions);
  // A window changes nothing up to its length; beyond it sluice does not go.
  const auto window = config.optional_size("attention.sliding_window", kMaxPositions);
  model.max_positions = std::min(model.max_positions, window.value_or(model.max_positions));
  model.bos = token_id(config, "tokenizer.ggml.bos_token_id");
  if (const auto eos = token_id(config, "tokenizer.ggml.eos_token_id")) model.eos = {*eos};
  if (!config.optional_flag("attention.causal").value_or(true))
    config.fail(ErrorCode::kUnsupported, config.quoted("attention.causal") + " is false");
  config.only_whole("leading_dense_block_count", {0});
  config.only_whole("nextn_predict_layers", {0});
  // How the rows of q and k lie, which the architecture says.
  if (config.text_or("tensor_data_layout", "Meta AI original pth") != "Meta AI original pth")
    config.fail(ErrorCode::kUnsupported, config.quoted("tensor_data_layout") + " is not known");
  return model;
}

// Experts of layer N lie in one tensor each of gate, up and down. Checked here, before a table of
// them is made: a small file may state millions.
void check_stacks(GgufConfig& config, int64_t layers, int64_t experts) {
  for (int64_t layer = 0; layer < layers; ++layer) {
    const std::string name = layer_tensor(layer, "ffn_gate_exps.weight");
    const std::vector<int64_t>* stack = config.dims_of(name);
    if (stack == nullptr && config.has_tensor(layer_tensor(layer, "ffn_gate.0.weight"))) {
      return config.fail(ErrorCode::kUnsupported,
                         "tensor " + weights::quote(layer_tensor(layer, "ffn_gate.0.weight")) +
                             " is an expert of its own, as files of 2023 have them; convert the "
                             "model again");
    }
    if (stack == nullptr)
      return config.fail(ErrorCode::kInvalid, "tensor " + weights::quote(name) + " is missing");
    if (stack->size() != 3 || stack->front() != experts)
      return config.fail(ErrorCode::kInvalid, "tensor " + weights::quote(name) + " is " +
                                                  weights::to_string(*stack) + ", but " +
                                                  config.quoted("expert_count") + " is " +
                                                  std::to_string(experts));
  }
}

// Routed experts. `renormalize` is what llama.cpp does for the architecture whatever the file says;
// a file that says otherwise means what it says.
FfnConfig read_experts(GgufConfig& config, int64_t inter, bool renormalize, int64_t layers) {
  FfnConfig ffn;
  ffn.experts = static_cast<int>(config.size("expert_count", kMaxExperts));
  ffn.top_k = static_cast<int>(config.size("expert_used_count", kMaxExperts));
  ffn.inter = static_cast<int>(inter);
  ffn.renormalize = config.optional_flag("expert_weights_norm").value_or(renormalize);
  if (ffn.top_k > ffn.experts)
    config.fail(ErrorCode::kInvalid, config.quoted("expert_used_count") + " is more than " +
                                         config.quoted("expert_count"));
  constexpr int64_t kSoftmax = 1;
  config.only_whole("expert_gating_func", {kSoftmax});
  config.only_real("expert_weights_scale", {0, 1});
  config.only_whole("expert_shared_count", {0});
  config.only_whole("expert_shared_feed_forward_length", {0});
  config.only_whole("expert_group_count", {0, 1});
  config.only_whole("expert_group_used_count", {0, 1});
  check_stacks(config, layers, ffn.experts);
  return ffn;
}

void use_in_every_layer(const FfnConfig& ffn, ModelConfig& model) {
  for (LayerConfig& layer : model.layers) layer.ffn = ffn;
}

// Llama and its kin; with experts, Mixtral.
FamilyModel read_llama(GgufConfig& config) {
  const bool is_moe = config.optional_size("expert_count", kMaxExperts).has_value();
  FamilyModel model{.family = is_moe ? &kMixtral : &kLlama};
  model.config = read_decoder(config, *model.family);
  const int64_t inter = config.size("feed_forward_length");
  FfnConfig ffn;
  if (is_moe) {
    if (config.optional_size("expert_feed_forward_length").value_or(inter) != inter)
      config.fail(ErrorCode::kUnsupported, config.quoted("expert_feed_forward_length") +
                                               " other than " +
                                               config.quoted("feed_forward_length"));
    ffn = read_experts(config, inter, /*renormalize=*/true, model.config.layer_count());
  } else {
    ffn.inter = static_cast<int>(inter);
    ffn.bias = has_bias(config, kGgufNames.gate);
    config.only_whole("expert_used_count", {0});
  }
  use_in_every_layer(ffn, model.config);
  return model;
}

FamilyModel read_qwen3_moe(GgufConfig& config) {
  FamilyModel model{.family = &kQwen3Moe, .config = read_decoder(config, kQwen3Moe)};
  config.ignore({"feed_forward_length"});  // of dense layers, which such a file has none of
  use_in_every_layer(read_experts(config, config.size("expert_feed_forward_length"),
                                  /*renormalize=*/true, model.config.layer_count()),
                     model.config);
  for (LayerConfig& layer : model.config.layers) layer.attention.qk_norm = QkNorm::kPerHead;
  return model;
}

FamilyModel read_olmoe(GgufConfig& config) {
  FamilyModel model{.family = &kOlmoe, .config = read_decoder(config, kOlmoe)};
  use_in_every_layer(read_experts(config, config.size("feed_forward_length"),
                                  /*renormalize=*/false, model.config.layer_count()),
                     model.config);
  const auto clip = config.optional_real("attention.clamp_kqv");
  if (clip && *clip < 0)
    config.fail(ErrorCode::kInvalid, config.quoted("attention.clamp_kqv") + " is negative");
  for (LayerConfig& layer : model.config.layers) {
    if (layer.attention.head_dim * layer.attention.q_heads != model.config.hidden)
      config.fail(ErrorCode::kUnsupported,
                  config.quoted("attention.key_length") + " other than the width over the heads");
    layer.attention.qk_norm = QkNorm::kFullWidth;
    if (clip && *clip > 0) layer.attention.clip_qkv = static_cast<float>(*clip);
  }
  return model;
}

struct Architecture {
  std::string_view name;
  FamilyModel (*read)(GgufConfig&);
};
constexpr std::array<Architecture, 3> kArchitectures{
    {{"llama", read_llama}, {"qwen3moe", read_qwen3_moe}, {"olmoe", read_olmoe}}};

}  // namespace

Result<FamilyModel> read_gguf_model(const weights::Checkpoint& checkpoint,
                                    const GgufShapes& elsewhere) {
  SLUICE_CHECK(checkpoint.gguf() != nullptr, "the checkpoint is a GGUF file");
  const weights::GgufMetadata& metadata = *checkpoint.gguf();
  if (const auto type = metadata.text_or("general.type", "model"); type != "model")
    return Error{ErrorCode::kUnsupported,
                 "'general.type' is " + weights::quote(type) + "; sluice runs a 'model'"};
  const std::string_view wanted = metadata.text_or("general.architecture", "");
  std::string known;
  for (const Architecture& architecture : kArchitectures) {
    known += (known.empty() ? "" : ", ") + std::string(architecture.name);
    if (architecture.name != wanted) continue;
    GgufConfig config(checkpoint, elsewhere, std::string(wanted));
    FamilyModel model = architecture.read(config);
    SLUICE_TRY(config.finish());
    return model;
  }
  return Error{ErrorCode::kUnsupported, "'general.architecture' " + weights::quote(wanted) +
                                            " is not supported; these are: " + known};
}

}  // namespace sluice::models
