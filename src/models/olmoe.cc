// OLMoE: norms over the whole query and key projections, optionally clipped.
// https://huggingface.co/docs/transformers/model_doc/olmoe
#include "models/decoder_config.h"
#include "models/family.h"
#include "models/moe_config.h"

namespace sluice::models {
namespace {

Result<ModelConfig> read(const Json& json) {
  HfConfig config(json);
  ModelConfig model =
      read_decoder(config, "olmoe", {.norm_eps = 1e-5, .rope_theta = 10000, .max_positions = 4096});
  model.architecture = kOlmoe.architecture;
  const bool attention_bias = config.flag_or("attention_bias", false);
  const auto clip = config.optional_real("clip_qkv");
  if (clip && !(*clip > 0))
    config.fail({ErrorCode::kInvalid, "config.json: 'clip_qkv' must be positive"});

  FfnConfig ffn = read_experts(config, {"num_experts", "num_local_experts"}, "intermediate_size");
  ffn.renormalize = config.flag_or("norm_topk_prob", false);
  for (LayerConfig& layer : model.layers) {
    if (layer.attention.head_dim * layer.attention.q_heads != model.hidden) {
      config.fail({ErrorCode::kUnsupported,
                   "config.json: 'head_dim' of OLMoE other than hidden_size / heads"});
    }
    layer.attention.qk_norm = QkNorm::kFullWidth;
    layer.attention.qkv_bias = layer.attention.o_bias = attention_bias;
    if (clip) layer.attention.clip_qkv = static_cast<float>(*clip);
    layer.ffn = ffn;
  }
  SLUICE_TRY(config.finish());
  return model;
}

}  // namespace

const Family kOlmoe{"olmoe", "OlmoeForCausalLM", read, mlp_expert_names};

}  // namespace sluice::models
