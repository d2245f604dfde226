#include "models/moe_config.h"

namespace sluice::models {
FfnConfig read_experts(HfConfig& config, std::initializer_list<const char*> expert_keys,
                       const char* inter_key) {
  const char* experts_key = *expert_keys.begin();
  FfnConfig ffn;
  for (const char* key : expert_keys) {
    if (!config.has(key)) continue;
    const auto experts = static_cast<int>(config.size(key, kMaxExperts));
    if (ffn.experts > 0 && ffn.experts != experts) {
      config.fail({ErrorCode::kInvalid,
                   config.where() + ": '" + experts_key + "' and '" + key + "' differ"});
    }
    ffn.experts = experts;
    experts_key = key;
  }
  if (ffn.experts == 0) config.size(experts_key, kMaxExperts);  // records that it is missing
  ffn.top_k = static_cast<int>(config.size("num_experts_per_tok", kMaxExperts));
  ffn.inter = static_cast<int>(config.size(inter_key));
  if (ffn.top_k > ffn.experts) {
    config.fail({ErrorCode::kInvalid,
                 config.where() + ": 'num_experts_per_tok' is more than '" + experts_key + "'"});
  }
  config.ignore({"output_router_logits", "router_aux_loss_coef", "router_jitter_noise"});
  return ffn;
}

const TensorNames& mlp_expert_names() {
  static constexpr TensorNames kNames{"mlp.gate.weight", "mlp.experts.{}.gate_proj.weight",
                                      "mlp.experts.{}.up_proj.weight",
                                      "mlp.experts.{}.down_proj.weight"};
  return kNames;
}

}  // namespace sluice::models
