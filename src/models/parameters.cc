#include "models/family.h"

namespace sluice::models {
namespace {

ParameterCount count(const ModelConfig& config) {
  static constexpr TensorNames kAnyNames{"router", "gate{}", "up{}", "down{}"};
  ParameterCount parameters;
  int64_t* const by_use[kUses] = {&parameters.embedding, &parameters.attention, &parameters.router,
                                  &parameters.experts,   &parameters.dense,     &parameters.norms,
                                  &parameters.head};
  for (const TensorSlot& tensor : tensor_table(config, kAnyNames)) {
    *by_use[static_cast<size_t>(tensor.use())] += tensor.shape.elements();
  }
  return parameters;
}

}  // namespace

ParameterCount count_parameters(const ModelConfig& config) { return count(config); }

int64_t active_parameters(const ModelConfig& config) {
  const ParameterCount all = count(config);
  int64_t experts = 0;
  for (const LayerConfig& layer : config.layers) {
    experts += int64_t{3} * layer.ffn.top_k * layer.ffn.inter * config.hidden *
               (layer.ffn.is_moe() ? 1 : 0);
  }
  const int64_t head = config.tied_embeddings ? all.embedding : all.head;
  return config.hidden + all.attention + all.router + experts + all.dense + all.norms + head;
}

}  // namespace sluice::models
