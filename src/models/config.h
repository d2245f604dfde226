// What a model is, after its family's file has read config.json: plain data that the stages, the
// costs, the planner and `inspect` read. Every field that changes the result is here; nothing is
// guessed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/kv_layout.h"
#include "tensor/dtype.h"

namespace sluice::models {

// Limits on what a config may state.
constexpr int64_t kMaxHidden = int64_t{1} << 20;
constexpr int64_t kMaxLayers = 4096;
constexpr int64_t kMaxHeads = 4096;
constexpr int64_t kMaxHeadDim = 4096;
constexpr int64_t kMaxExperts = 4096;
constexpr int64_t kMaxPositions = int64_t{1} << 31;

enum class RopeKind : uint8_t { kDefault, kLinear, kDynamic, kLlama3, kYarn, kDivided };

// Rotary embedding with its scaling; the fields of kinds other than `kind` are unused.
struct RopeConfig {
  RopeKind kind = RopeKind::kDefault;
  double theta = 0;
  double factor = 1;                    // linear, dynamic, llama3, yarn
  int64_t original_max_positions = 0;   // dynamic, llama3, yarn
  double low_freq_factor = 0;           // llama3
  double high_freq_factor = 0;          // llama3
  double beta_fast = 0, beta_slow = 0;  // yarn
  double attention_factor = 1;          // yarn: multiplies cos and sin
  bool truncate = true;                 // yarn: whole-numbered correction range
  std::vector<float> divisors;          // divided: one for each frequency
  bool operator==(const RopeConfig&) const = default;
};

enum class QkNorm : uint8_t {
  kNone,
  kPerHead,    // RMS norm of each head, weight [head_dim] (Qwen3)
  kFullWidth,  // RMS norm of the whole projection, weight [heads * head_dim] (OLMoE)
};

// Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1): of a token the cache
// keeps one compressed vector and one rotary key for all heads; the matrices that take it apart are
// absorbed into the query and the output. Costs know it; the forward pass does not yet.
struct LatentAttention {
  int q_rank = 0;     // of the compressed query; 0: it is not compressed
  int kv_rank = 0;    // of the compressed keys and values
  int rope_dim = 0;   // of the rotary part of a head's query, and of the one rotary key
  int nope_dim = 0;   // of the other part of a head's query
  int value_dim = 0;  // of a head's value
  bool operator==(const LatentAttention&) const = default;
};

struct AttentionConfig {
  int q_heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  float scale = 0;  // of the scores: 1 / sqrt(head_dim)
  QkNorm qk_norm = QkNorm::kNone;
  bool qkv_bias = false;
  bool o_bias = false;
  std::optional<float> clip_qkv;
  std::optional<LatentAttention> latent;  // of costs and plans alone, like the next
  int window = 0;                         // keys that a token attends to at most; 0: all
  bool operator==(const AttentionConfig&) const = default;
};

// A layer's feed-forward part: dense when experts == 0.
struct FfnConfig {
  int inter = 0;  // of the dense FFN, or of one expert
  bool bias = false;
  int experts = 0;
  int top_k = 0;
  bool renormalize = false;  // weights of the chosen experts sum to 1
  int shared_inter = 0;      // width of the shared experts taken together; 0: none

  bool is_moe() const { return experts > 0; }
  bool operator==(const FfnConfig&) const = default;
};

struct LayerConfig {
  AttentionConfig attention;
  FfnConfig ffn;
  bool operator==(const LayerConfig&) const = default;
};

struct ModelConfig {
  std::string architecture;  // as config.json names it: "MixtralForCausalLM"
  std::string family;        // "mixtral"
  int hidden = 0;
  int vocab = 0;
  int64_t max_positions = 0;
  float norm_eps = 0;
  bool tied_embeddings = false;
  RopeConfig rope;
  std::vector<LayerConfig> layers;
  std::optional<int32_t> bos;
  std::vector<int32_t> eos;  // config.json's own; generation_config.json may name more

  int layer_count() const { return static_cast<int>(layers.size()); }
  int max_experts() const;  // over layers
  int max_top_k() const;
  bool operator==(const ModelConfig&) const = default;
};

// The KV layout of one layer.
kernels::KvLayout kv_layout(const AttentionConfig& attention, int block_tokens,
                            kernels::KvDType dtype);
// Of all layers, in order.
std::vector<kernels::KvLayout> kv_layouts(const ModelConfig& config, int block_tokens,
                                          kernels::KvDType dtype);
// Over all layers.
int64_t kv_bytes_per_token(const ModelConfig& config, kernels::KvDType dtype);

// Parameters by use, in weights (not bytes).
struct ParameterCount {
  int64_t embedding = 0, attention = 0, router = 0, experts = 0, dense = 0, norms = 0, head = 0;
  int64_t total() const { return embedding + attention + router + experts + dense + norms + head; }
};
ParameterCount count_parameters(const ModelConfig& config);
// Those that one token's forward pass reads: top_k experts of each layer, the head, one row of the
// embedding.
int64_t active_parameters(const ModelConfig& config);

}  // namespace sluice::models
