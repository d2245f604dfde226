// Llama: dense layers. https://huggingface.co/docs/transformers/model_doc/llama
#include "models/decoder_config.h"
#include "models/family.h"

namespace sluice::models {
namespace {

Result<ModelConfig> read(const Json& json) {
  HfConfig config(json);
  ModelConfig model =
      read_decoder(config, "llama", {.norm_eps = 1e-6, .rope_theta = 10000, .max_positions = 2048});
  model.architecture = kLlama.architecture;
  const bool attention_bias = config.flag_or("attention_bias", false);
  FfnConfig ffn;
  ffn.inter = static_cast<int>(config.size("intermediate_size"));
  ffn.bias = config.flag_or("mlp_bias", false);
  for (LayerConfig& layer : model.layers) {
    layer.attention.qkv_bias = layer.attention.o_bias = attention_bias;
    layer.ffn = ffn;
  }
  SLUICE_TRY(config.finish());
  return model;
}

const TensorNames& names() {
  static constexpr TensorNames kNames{nullptr, nullptr, nullptr, nullptr};  // no experts
  return kNames;
}

}  // namespace

const Family kLlama{"llama", "LlamaForCausalLM", read, names, /*interleaved_rotary=*/true};

}  // namespace sluice::models
