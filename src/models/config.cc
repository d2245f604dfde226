#include "models/config.h"

#include <algorithm>

namespace sluice::models {

int ModelConfig::max_experts() const {
  int most = 0;
  for (const LayerConfig& layer : layers) most = std::max(most, layer.ffn.experts);
  return most;
}

int ModelConfig::max_top_k() const {
  int most = 0;
  for (const LayerConfig& layer : layers) most = std::max(most, layer.ffn.top_k);
  return most;
}

kernels::KvLayout kv_layout(const ModelConfig& config, int layer, int block_tokens) {
  const AttentionConfig& attention = config.layers[static_cast<size_t>(layer)].attention;
  return {.kv_heads = attention.kv_heads,
          .key_dim = attention.head_dim,
          .value_dim = attention.head_dim,
          .block_tokens = block_tokens,
          .dtype = kernels::KvDType::kF32};
}

}  // namespace sluice::models
