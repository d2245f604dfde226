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

kernels::KvLayout kv_layout(const AttentionConfig& attention, int block_tokens,
                            kernels::KvDType dtype) {
  if (const auto& latent = attention.latent) {
    // The value is the key's compressed part.
    return {.kv_heads = 1,
            .key_dim = latent->kv_rank + latent->rope_dim,
            .value_dim = 0,
            .block_tokens = block_tokens,
            .dtype = dtype};
  }
  return {.kv_heads = attention.kv_heads,
          .key_dim = attention.head_dim,
          .value_dim = attention.head_dim,
          .block_tokens = block_tokens,
          .dtype = dtype};
}

std::vector<kernels::KvLayout> kv_layouts(const ModelConfig& config, int block_tokens,
                                          kernels::KvDType dtype) {
  std::vector<kernels::KvLayout> layouts;
  for (const LayerConfig& layer : config.layers)
    layouts.push_back(kv_layout(layer.attention, block_tokens, dtype));
  return layouts;
}

int64_t kv_bytes_per_token(const ModelConfig& config, kernels::KvDType dtype) {
  constexpr int kAnyBlock = 16;
  int64_t bytes = 0;
  for (const kernels::KvLayout& layout : kv_layouts(config, kAnyBlock, dtype))
    bytes += layout.bytes_per_token();
  return bytes;
}

}  // namespace sluice::models
