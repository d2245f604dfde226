// Qwen3-MoE: norms on each query and key head; sparse layers by step, with dense exceptions.
// https://huggingface.co/docs/transformers/model_doc/qwen3_moe
#include <algorithm>

#include "models/decoder_config.h"
#include "models/family.h"
#include "models/moe_config.h"

namespace sluice::models {
namespace {

Result<ModelConfig> read(const Json& json) {
  HfConfig config(json);
  ModelConfig model =
      read_decoder(config, "qwen3_moe",
                   {.norm_eps = 1e-6, .rope_theta = 10000, .max_positions = 32768, .kv_heads = 4});
  model.architecture = kQwen3Moe.architecture;
  read_sliding_window(config, config.flag_or("use_sliding_window", false), model);
  config.ignore({"max_window_layers"});
  const bool attention_bias = config.flag_or("attention_bias", false);

  FfnConfig moe =
      read_experts(config, {"num_experts", "num_local_experts"}, "moe_intermediate_size");
  moe.renormalize = config.flag_or("norm_topk_prob", false);
  const int64_t step = config.size_or("decoder_sparse_step", 1);
  const std::vector<int64_t> dense_layers = config.sizes("mlp_only_layers");
  const bool all_sparse = step == 1 && dense_layers.empty();
  FfnConfig dense;
  // A model without dense layers need not say how wide they are.
  dense.inter = static_cast<int>(all_sparse ? config.size_or("intermediate_size", 1)
                                            : config.size("intermediate_size"));

  for (size_t i = 0; i < model.layers.size(); ++i) {
    const auto layer = static_cast<int64_t>(i);
    const bool sparse =
        (layer + 1) % step == 0 && std::ranges::find(dense_layers, layer) == dense_layers.end();
    model.layers[i].ffn = sparse ? moe : dense;
    model.layers[i].attention.qk_norm = QkNorm::kPerHead;
    model.layers[i].attention.qkv_bias = model.layers[i].attention.o_bias = attention_bias;
  }
  SLUICE_TRY(config.finish());
  return model;
}

}  // namespace

const Family kQwen3Moe{"qwen3_moe", "Qwen3MoeForCausalLM", read, mlp_expert_names};

}  // namespace sluice::models
