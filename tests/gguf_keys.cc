#include "gguf_keys.h"

#include <cmath>
#include <numbers>
#include <utility>

#include "base/check.h"
#include "weights/stored_dtype.h"

namespace sluice::tests {
namespace {

using weights::GgufTestFile;

int64_t head_dim_of(const Json& config) {
  if (has(config, "head_dim")) return config["head_dim"].get<int64_t>();
  return config["hidden_size"].get<int64_t>() / config["num_attention_heads"].get<int64_t>();
}

// transformers 4's fields and 5's in one object.
Json rope_of(const Json& config) {
  Json rope = Json::object();
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    if (has(config, key)) rope.update(config[key]);
  }
  if (has(config, "rope_theta")) rope["rope_theta"] = config["rope_theta"];
  if (!rope.contains("rope_type")) rope["rope_type"] = rope.value("type", "default");
  return rope;
}

void write_rope(const Json& config, const std::string& arch, GgufTestFile& file) {
  const Json rope = rope_of(config);
  const auto real = [&](const std::string& key, double value) {
    file.number(arch + ".rope." + key, static_cast<float>(value));
  };
  if (rope.contains("rope_theta")) real("freq_base", rope["rope_theta"]);
  const std::string kind = rope["rope_type"];
  SLUICE_CHECK(kind != "dynamic", "GGUF has no dynamic scaling");
  if (kind != "linear" && kind != "yarn") return;
  file.text(arch + ".rope.scaling.type", kind);
  real("scaling.factor", rope["factor"]);
  if (kind == "linear") return;
  file.number(arch + ".rope.scaling.original_context_length",
              rope["original_max_position_embeddings"].get<uint32_t>());
  if (has(rope, "beta_fast")) real("scaling.yarn_beta_fast", rope["beta_fast"]);
  if (has(rope, "beta_slow")) real("scaling.yarn_beta_slow", rope["beta_slow"]);
  if (has(rope, "attention_factor")) {
    real("scaling.yarn_attn_factor", rope["attention_factor"]);
  } else if (has(rope, "mscale") && has(rope, "mscale_all_dim")) {
    const auto magnitude = [&](double scale) {
      return 0.1 * scale * std::log(rope["factor"].get<double>()) + 1;
    };
    real("scaling.yarn_attn_factor", magnitude(rope["mscale"]) / magnitude(rope["mscale_all_dim"]));
  }
}

}  // namespace

uint32_t gguf_number(tensor::DType dtype) {
  uint32_t number = 0;
  while (weights::find_gguf_dtype(number) == nullptr ||
         weights::find_gguf_dtype(number)->readable != dtype) {
    ++number;
  }
  return number;
}

std::string gguf_architecture(const Json& config) {
  const auto name = config["architectures"][0].get<std::string>();
  if (name == "Qwen3MoeForCausalLM") return "qwen3moe";
  if (name == "OlmoeForCausalLM") return "olmoe";
  SLUICE_CHECK(name == "LlamaForCausalLM" || name == "MixtralForCausalLM", "a known family");
  return "llama";
}

void write_gguf_keys(const Json& config, GgufTestFile& file) {
  const std::string arch = gguf_architecture(config);
  file.text("general.architecture", arch).text("general.type", "model");
  const std::pair<const char*, const char*> sizes[] = {
      {"max_position_embeddings", "context_length"},
      {"hidden_size", "embedding_length"},
      {"num_hidden_layers", "block_count"},
      {"intermediate_size", "feed_forward_length"},
      {"num_attention_heads", "attention.head_count"},
      {"num_key_value_heads", "attention.head_count_kv"},
      {"head_dim", "attention.key_length"},
      {"head_dim", "attention.value_length"},
      {"num_local_experts", "expert_count"},
      {"num_experts", "expert_count"},
      {"num_experts_per_tok", "expert_used_count"},
      {"moe_intermediate_size", "expert_feed_forward_length"},
      {"vocab_size", "vocab_size"}};
  for (const auto& [from, to] : sizes) {
    if (has(config, from)) file.number(arch + "." + to, config[from].get<uint32_t>());
  }
  if (arch == "llama")
    file.number("llama.rope.dimension_count", static_cast<uint32_t>(head_dim_of(config)));
  const double eps = has(config, "rms_norm_eps") ? config["rms_norm_eps"].get<double>() : 1e-6;
  file.number(arch + ".attention.layer_norm_rms_epsilon", static_cast<float>(eps));
  write_rope(config, arch, file);
  if (has(config, "norm_topk_prob"))
    file.number(arch + ".expert_weights_norm", config["norm_topk_prob"].get<bool>());
  if (has(config, "clip_qkv"))
    file.number(arch + ".attention.clamp_kqv", config["clip_qkv"].get<float>());
  if (has(config, "eos_token_id"))
    file.number("tokenizer.ggml.eos_token_id", config["eos_token_id"].get<uint32_t>());
}

std::optional<GgufTensor> gguf_rope_divisors(const Json& config) {
  const Json rope = rope_of(config);
  if (rope["rope_type"] != "llama3") return std::nullopt;
  const int64_t head_dim = head_dim_of(config);
  GgufTensor tensor{.dims = {head_dim / 2}};
  const double factor = rope["factor"];
  const double low = rope["low_freq_factor"];
  const double high = rope["high_freq_factor"];
  const double length = rope["original_max_position_embeddings"];
  const double theta = rope["rope_theta"];
  for (int64_t i = 0; i < head_dim / 2; ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(head_dim);
    const double wavelength = 2 * std::numbers::pi * std::pow(theta, exponent);
    const double smooth = (length / wavelength - low) / (high - low);
    double divisor = 1 / ((1 - smooth) / factor + smooth);
    if (wavelength < length / high) divisor = 1;
    if (wavelength > length / low) divisor = factor;
    tensor.bytes += weights::little_endian_bytes(static_cast<float>(divisor));
  }
  return tensor;
}

}  // namespace sluice::tests
