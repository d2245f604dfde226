#include "models/shape.h"

#include <cmath>
#include <initializer_list>
#include <optional>

#include "models/family.h"

namespace sluice::models {
namespace {

constexpr int64_t kMostWidth = int64_t{1} << 24;

// Sizes under any of the names that config files call them by.
class Sizes {
 public:
  explicit Sizes(const Json& json) : json_(json) {}

  // The first that is there; `fallback` where none is, or the error if there is no fallback.
  int64_t get(std::initializer_list<const char*> names, std::optional<int64_t> fallback,
              int64_t most = kMostWidth) {
    for (const char* name : names) {
      const Json* value = find(name);
      if (value == nullptr) continue;
      if (!value->is_number_integer() || value->get<int64_t>() < 0 ||
          value->get<int64_t>() > most) {
        fail(std::string("'") + name + "' must be a whole number up to " + std::to_string(most));
        return 1;
      }
      return value->get<int64_t>();
    }
    if (!fallback) fail(std::string("'") + *names.begin() + "' is missing");
    return fallback.value_or(1);
  }
  int size(std::initializer_list<const char*> names, int64_t most = kMostWidth) {
    const int64_t value = get(names, std::nullopt, most);
    if (value < 1) fail(std::string("'") + *names.begin() + "' must be at least 1");
    return static_cast<int>(value);
  }
  bool flag(const char* name) {
    const Json* value = find(name);
    return value != nullptr && value->is_boolean() && value->get<bool>();
  }
  Status status() const { return error_ ? Status(*error_) : Status(); }

 private:
  // Some configs group their sizes; "a.b" is b of a.
  const Json* find(const std::string& name) const {
    const Json* at = &json_;
    size_t begin = 0;
    while (true) {
      const size_t dot = name.find('.', begin);
      const std::string key = name.substr(begin, dot - begin);
      if (!at->is_object() || !at->contains(key) || (*at)[key].is_null()) return nullptr;
      at = &(*at)[key];
      if (dot == std::string::npos) return at;
      begin = dot + 1;
    }
  }
  void fail(const std::string& what) {
    if (!error_) error_ = Error{ErrorCode::kInvalid, "config.json: " + what};
  }

  const Json& json_;
  std::optional<Error> error_;
};

AttentionConfig attention_of(Sizes& sizes, int hidden) {
  AttentionConfig a;
  a.q_heads = sizes.size({"num_attention_heads", "n_heads"}, kMaxHeads);
  if (sizes.get({"kv_lora_rank"}, 0) > 0) {
    LatentAttention latent;
    latent.q_rank = static_cast<int>(sizes.get({"q_lora_rank"}, 0));
    latent.kv_rank = sizes.size({"kv_lora_rank"});
    latent.rope_dim = sizes.size({"qk_rope_head_dim"}, kMaxHeadDim);
    latent.nope_dim = sizes.size({"qk_nope_head_dim"}, kMaxHeadDim);
    latent.value_dim = sizes.size({"v_head_dim"}, kMaxHeadDim);
    a.kv_heads = 1;
    a.head_dim = latent.rope_dim + latent.nope_dim;
    a.latent = latent;
  } else {
    a.kv_heads = static_cast<int>(
        sizes.get({"num_key_value_heads", "attn_config.kv_n_heads"}, a.q_heads, kMaxHeads));
    a.head_dim = static_cast<int>(sizes.get({"head_dim"}, hidden / a.q_heads, kMaxHeadDim));
  }
  a.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(std::max(a.head_dim, 1))));
  return a;
}

FfnConfig experts_of(Sizes& sizes) {
  FfnConfig ffn;
  ffn.experts = static_cast<int>(sizes.get(
      {"num_local_experts", "n_routed_experts", "num_experts", "ffn_config.moe_num_experts"}, 0,
      kMaxExperts));
  if (!ffn.is_moe()) return ffn;
  ffn.inter =
      sizes.size({"moe_intermediate_size", "ffn_config.ffn_hidden_size", "intermediate_size"});
  ffn.top_k =
      sizes.size({"num_experts_per_tok", "experts_per_token", "ffn_config.moe_top_k"}, ffn.experts);
  ffn.shared_inter = static_cast<int>(sizes.get({"n_shared_experts"}, 0, kMaxExperts)) * ffn.inter;
  return ffn;
}

// Whether that layer attends to a window alone: as `layer_types` says; without it, every second one
// of gpt-oss, as transformers documents, and none of others.
bool has_window(const Json& json, int layer) {
  if (!json.contains("layer_types")) {
    return json["architectures"][0] == "GptOssForCausalLM" && layer % 2 == 0;
  }
  const Json& types = json["layer_types"];
  const auto i = static_cast<size_t>(layer);
  return types.is_array() && i < types.size() && types[i] == "sliding_attention";
}

Result<ModelConfig> by_common_names(const Json& json) {
  Sizes sizes(json);
  ModelConfig model;
  model.architecture = json["architectures"][0].get<std::string>();
  model.family = "shape";
  model.hidden = sizes.size({"hidden_size", "d_model"}, kMaxHidden);
  model.vocab = sizes.size({"vocab_size"});
  model.max_positions =
      sizes.get({"max_position_embeddings", "max_seq_len"}, std::nullopt, kMaxPositions);
  model.tied_embeddings = sizes.flag("tie_word_embeddings");
  const int layers = sizes.size({"num_hidden_layers", "n_layers"}, kMaxLayers);
  const int64_t dense_layers = sizes.get({"first_k_dense_replace"}, 0, kMaxLayers);
  const int64_t window = sizes.get({"sliding_window"}, 0, kMaxPositions);
  LayerConfig layer{attention_of(sizes, model.hidden), experts_of(sizes)};
  FfnConfig dense;
  if (!layer.ffn.is_moe() || dense_layers > 0) dense.inter = sizes.size({"intermediate_size"});
  if (!layer.ffn.is_moe()) layer.ffn = dense;
  SLUICE_TRY(sizes.status());
  if (layer.attention.head_dim < 1 || layer.attention.kv_heads < 1) {
    return Error{ErrorCode::kInvalid,
                 "config.json: 'num_key_value_heads' and 'head_dim' must be at least 1"};
  }
  for (int i = 0; i < layers; ++i) {
    model.layers.push_back(layer);
    if (i < dense_layers) model.layers.back().ffn = dense;
    if (window > 0 && has_window(json, i))
      model.layers.back().attention.window = static_cast<int>(window);
  }
  return model;
}

}  // namespace

Result<ModelConfig> read_shape(const Json& config) {
  const auto family = find_family(config);
  if (family.ok()) return (*family)->read(config);
  if (family.error().code != ErrorCode::kUnsupported) return family.error();
  return by_common_names(config);
}

}  // namespace sluice::models
