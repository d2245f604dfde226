#include "bench/make_model/geometry.h"

#include <algorithm>
#include <array>

namespace sluice::bench {
namespace {

// The fields that change the shape or the result, from each model's page on the Hugging Face hub.
struct Geometry {
  const char* name;
  const char* source;
  const char* config;
};

constexpr std::array<Geometry, 6> kGeometries{{
    {"mixtral-8x7b", "https://huggingface.co/mistralai/Mixtral-8x7B-v0.1", R"({
      "architectures": ["MixtralForCausalLM"], "model_type": "mixtral",
      "bos_token_id": 1, "eos_token_id": 2, "vocab_size": 32000, "hidden_size": 4096,
      "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
      "num_key_value_heads": 8, "num_local_experts": 8, "num_experts_per_tok": 2,
      "hidden_act": "silu", "max_position_embeddings": 32768, "rms_norm_eps": 1e-05,
      "rope_theta": 1000000.0, "sliding_window": null, "tie_word_embeddings": false})"},
    // For emulated machines, whose constants are scaled alike: a two thousandth of mixtral-8x7b's
    // weights, and a thousandth of its KV cache for each token.
    {"mixtral-2000th", "mixtral-8x7b, scaled", R"({
      "architectures": ["MixtralForCausalLM"], "model_type": "mixtral",
      "bos_token_id": 1, "eos_token_id": 2, "vocab_size": 512, "hidden_size": 256,
      "intermediate_size": 448, "num_hidden_layers": 8, "num_attention_heads": 4, "head_dim": 4,
      "num_key_value_heads": 1, "num_local_experts": 8, "num_experts_per_tok": 2,
      "hidden_act": "silu", "max_position_embeddings": 4096, "rms_norm_eps": 1e-05,
      "rope_theta": 1000000.0, "sliding_window": null, "tie_word_embeddings": false})"},
    {"olmoe-1b-7b", "https://huggingface.co/allenai/OLMoE-1B-7B-0924", R"({
      "architectures": ["OlmoeForCausalLM"], "model_type": "olmoe",
      "pad_token_id": 1, "eos_token_id": 50279, "vocab_size": 50304, "hidden_size": 2048,
      "intermediate_size": 1024, "num_hidden_layers": 16, "num_attention_heads": 16,
      "num_key_value_heads": 16, "num_experts": 64, "num_experts_per_tok": 8,
      "norm_topk_prob": false, "attention_bias": false, "clip_qkv": null,
      "hidden_act": "silu", "max_position_embeddings": 4096, "rms_norm_eps": 1e-05,
      "rope_theta": 10000.0, "rope_scaling": null, "tie_word_embeddings": false})"},
    {"qwen3-30b-a3b", "https://huggingface.co/Qwen/Qwen3-30B-A3B", R"({
      "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe",
      "bos_token_id": 151643, "eos_token_id": 151645, "vocab_size": 151936, "hidden_size": 2048,
      "intermediate_size": 6144, "moe_intermediate_size": 768, "num_hidden_layers": 48,
      "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128,
      "num_experts": 128, "num_experts_per_tok": 8, "norm_topk_prob": true,
      "decoder_sparse_step": 1, "mlp_only_layers": [], "attention_bias": false,
      "hidden_act": "silu", "max_position_embeddings": 40960, "rms_norm_eps": 1e-06,
      "rope_theta": 1000000.0, "rope_scaling": null, "sliding_window": null,
      "use_sliding_window": false, "tie_word_embeddings": false})"},
    {"llama-3.2-1b", "https://huggingface.co/meta-llama/Llama-3.2-1B", R"({
      "architectures": ["LlamaForCausalLM"], "model_type": "llama",
      "bos_token_id": 128000, "eos_token_id": 128001, "vocab_size": 128256, "hidden_size": 2048,
      "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32,
      "num_key_value_heads": 8, "head_dim": 64, "attention_bias": false, "mlp_bias": false,
      "hidden_act": "silu", "max_position_embeddings": 131072, "rms_norm_eps": 1e-05,
      "rope_theta": 500000.0, "rope_scaling": {"rope_type": "llama3", "factor": 32.0,
        "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192},
      "tie_word_embeddings": true})"},
    {"llama-3.1-8b", "https://huggingface.co/meta-llama/Llama-3.1-8B", R"({
      "architectures": ["LlamaForCausalLM"], "model_type": "llama",
      "bos_token_id": 128000, "eos_token_id": 128001, "vocab_size": 128256, "hidden_size": 4096,
      "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
      "num_key_value_heads": 8, "attention_bias": false, "mlp_bias": false,
      "hidden_act": "silu", "max_position_embeddings": 131072, "rms_norm_eps": 1e-05,
      "rope_theta": 500000.0, "rope_scaling": {"rope_type": "llama3", "factor": 8.0,
        "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192},
      "tie_word_embeddings": false})"},
}};

// Lowers `key` to `wanted`, at least `least`, if that is given.
Status cut_field(Json& config, const char* key, int wanted, int least, const char* flag) {
  if (wanted == 0) return {};
  const auto own = config[key].get<int>();
  if (wanted < least || wanted > own)
    return Error{ErrorCode::kInvalid, std::string(flag) + " " + std::to_string(wanted) +
                                          ": this geometry has " + std::to_string(least) + " to " +
                                          std::to_string(own)};
  config[key] = wanted;
  return {};
}

}  // namespace

std::vector<std::string> geometry_names() {
  std::vector<std::string> names;
  for (const Geometry& geometry : kGeometries) names.emplace_back(geometry.name);
  return names;
}

Result<Json> geometry_config(std::string_view name, const GeometryCut& cut,
                             std::string_view torch_dtype) {
  const auto it = std::ranges::find(kGeometries, name, &Geometry::name);
  if (it == kGeometries.end()) {
    std::string known;
    for (const Geometry& geometry : kGeometries)
      known += (known.empty() ? "" : ", ") + std::string(geometry.name);
    return Error{ErrorCode::kInvalid,
                 "there is no geometry '" + std::string(name) + "'; there are " + known};
  }
  SLUICE_ASSIGN(Json config, base::parse_json(it->config));
  SLUICE_TRY(cut_field(config, "num_hidden_layers", cut.layers, 1, "--layers"));
  SLUICE_TRY(cut_field(config, "vocab_size", cut.vocab, 1, "--vocab"));
  const char* const experts_key =
      config.contains("num_experts") ? "num_experts" : "num_local_experts";
  if (config.contains(experts_key)) {
    SLUICE_TRY(cut_field(config, experts_key, cut.experts, config["num_experts_per_tok"].get<int>(),
                         "--experts"));
  } else if (cut.experts != 0) {
    return Error{ErrorCode::kInvalid, "--experts: " + std::string(name) + " has no experts"};
  }
  // A token beyond a cut vocabulary would be refused.
  const auto last = config["vocab_size"].get<int>() - 1;
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"}) {
    if (config.contains(key)) config[key] = std::min(config[key].get<int>(), last);
  }
  config["torch_dtype"] = std::string(torch_dtype);
  return config;
}

}  // namespace sluice::bench
