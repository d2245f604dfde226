// Mixtral: every layer an MoE, the chosen experts' weights renormalized.
// https://huggingface.co/docs/transformers/model_doc/mixtral
#include "models/decoder_config.h"
#include "models/family.h"
#include "models/moe_config.h"

namespace sluice::models {
namespace {

Result<ModelConfig> read(const Json& json) {
  HfConfig config(json);
  ModelConfig model =
      read_decoder(config, "mixtral",
                   {.norm_eps = 1e-5, .rope_theta = 1e6, .max_positions = 131072, .kv_heads = 8});
  model.architecture = kMixtral.architecture;
  read_sliding_window(config, /*in_use=*/true, model);
  FfnConfig ffn = read_experts(config, {"num_local_experts"}, "intermediate_size");
  ffn.renormalize = true;
  for (LayerConfig& layer : model.layers) layer.ffn = ffn;
  SLUICE_TRY(config.finish());
  return model;
}

const TensorNames& names() {
  static constexpr TensorNames kNames{
      "block_sparse_moe.gate.weight", "block_sparse_moe.experts.{}.w1.weight",
      "block_sparse_moe.experts.{}.w3.weight", "block_sparse_moe.experts.{}.w2.weight"};
  return kNames;
}

}  // namespace

const Family kMixtral{"mixtral", "MixtralForCausalLM", read, names, /*interleaved_rotary=*/true};

}  // namespace sluice::models
