#include <algorithm>

#include "base/check.h"
#include "models/stage.h"

namespace sluice::models {
namespace {

constexpr double kF32 = sizeof(float);

// A product of [outputs, inputs] with `tokens` rows: 2 FLOPs a weight and token, the weights read
// once.
Cost matmul(double outputs, double inputs, double tokens, double weight_bytes) {
  return {.flops = 2 * outputs * inputs * tokens,
          .weight_bytes = outputs * inputs * weight_bytes,
          .kv_bytes = 0,
          .activation_bytes = (outputs + inputs) * tokens * kF32};
}

Cost elementwise(double elements, double flops_each, double bytes_each) {
  return {.flops = elements * flops_each,
          .weight_bytes = 0,
          .kv_bytes = 0,
          .activation_bytes = elements * bytes_each};
}

// Of one token's keys and values.
double kv_token_bytes(const AttentionConfig& a, const WeightBytes& weights) {
  constexpr int kAnyBlock = 16;
  return static_cast<double>(kv_layout(a, kAnyBlock, weights.kv).bytes_per_token());
}

// The query down and up, the compressed key and value with the rotary key, and each head's query
// taken into the compressed space.
Cost latent_qkv_cost(const ModelConfig& config, const AttentionConfig& a, double tokens,
                     const WeightBytes& weights) {
  const LatentAttention& l = *a.latent;
  const double q = double{1} * a.q_heads * (l.nope_dim + l.rope_dim);
  Cost cost = elementwise(config.hidden * tokens, 4, 2 * kF32);
  if (l.q_rank > 0) cost += matmul(l.q_rank, config.hidden, tokens, weights.dense);
  cost += matmul(q, l.q_rank > 0 ? l.q_rank : config.hidden, tokens, weights.dense);
  cost += matmul(l.kv_rank + l.rope_dim, config.hidden, tokens, weights.dense);
  cost += matmul(double{1} * a.q_heads * l.nope_dim, l.kv_rank, tokens, weights.dense);
  cost += elementwise((double{1} * a.q_heads + 1) * l.rope_dim * tokens, 6, 2 * kF32);
  return cost;
}

// Each head's output taken out of the compressed space, then the output projection.
Cost latent_o_cost(double hidden, const AttentionConfig& a, double tokens,
                   const WeightBytes& weights) {
  const double heads_width = double{1} * a.q_heads * a.latent->value_dim;
  Cost cost = matmul(heads_width, a.latent->kv_rank, tokens, weights.dense);
  return cost += matmul(hidden, heads_width, tokens, weights.dense);
}

Cost qkv_cost(const ModelConfig& config, const AttentionConfig& a, double tokens,
              const WeightBytes& weights) {
  if (a.latent) return latent_qkv_cost(config, a, tokens, weights);
  const double q = double{1} * a.q_heads * a.head_dim;
  const double kv = double{1} * a.kv_heads * a.head_dim;
  Cost cost = elementwise(config.hidden * tokens, 4, 2 * kF32);
  cost += matmul(q + 2 * kv, config.hidden, tokens, weights.dense);
  cost += elementwise((q + kv) * tokens, 6, 2 * kF32);
  return cost;
}

// Each token's keys and values are written once. Scores and the weighted sum take 2 FLOPs a
// dimension each, the softmax about 5 a score. Every sequence's keys and values are read once for
// all its rows.
Cost attend_cost(const AttentionConfig& a, const Load& load, const WeightBytes& weights) {
  int64_t keys = load.visible_keys;
  int64_t context = load.context_tokens;
  if (a.window > 0) {
    keys = std::min(keys, load.tokens * a.window);
    context = std::min(context, load.tokens * a.window);
  }
  // Of a head: what a score and what the weighted sum goes over.
  const double key_dim = a.latent ? a.latent->kv_rank + a.latent->rope_dim : a.head_dim;
  const double value_dim = a.latent ? a.latent->kv_rank : a.head_dim;
  Cost cost;
  cost.flops = a.q_heads * static_cast<double>(keys) * (2 * key_dim + 2 * value_dim + 5);
  cost.kv_bytes = static_cast<double>(load.tokens + context) * kv_token_bytes(a, weights);
  cost.activation_bytes =
      static_cast<double>(load.tokens) * a.q_heads * (key_dim + value_dim) * kF32;
  return cost;
}

Cost ffn_cost(double hidden, double inter, double tokens, double matrices, double weight_bytes) {
  Cost cost = matmul(inter * 3 * matrices, hidden, 0, weight_bytes);
  cost.flops = (6 * inter * hidden + 6 * inter) * tokens;
  cost.activation_bytes = (2 * hidden + 2 * inter) * tokens * kF32;
  return cost;
}

Cost route_cost(const ModelConfig& config, const FfnConfig& f, double tokens,
                const WeightBytes& weights) {
  Cost cost = elementwise(config.hidden * tokens, 4, 2 * kF32);
  if (f.is_moe()) cost += matmul(f.experts, config.hidden, tokens, weights.router);
  return cost;
}

}  // namespace

Cost& Cost::operator+=(const Cost& other) {
  flops += other.flops;
  weight_bytes += other.weight_bytes;
  kv_bytes += other.kv_bytes;
  activation_bytes += other.activation_bytes;
  return *this;
}

const char* name(StageKind kind) {
  switch (kind) {
    case StageKind::kEmbed:
      return "embed";
    case StageKind::kQkv:
      return "qkv";
    case StageKind::kAttend:
      return "attend";
    case StageKind::kOProj:
      return "o_proj";
    case StageKind::kRoute:
      return "route";
    case StageKind::kGuess:
      return "guess";
    case StageKind::kDispatch:
      return "dispatch";
    case StageKind::kExpertGroup:
      return "expert_group";
    case StageKind::kShared:
      return "shared";
    case StageKind::kCombine:
      return "combine";
    case StageKind::kHead:
      return "head";
    case StageKind::kSample:
      return "sample";
  }
  base::check_failed("known stage", "a StageKind outside its enum", __FILE__, __LINE__);
}

Cost stage_cost(const ModelConfig& config, const Stage& stage, const Load& load,
                const WeightBytes& weights) {
  const auto tokens = static_cast<double>(load.tokens);
  const double hidden = config.hidden;
  static const LayerConfig kNoLayer;
  const LayerConfig& layer =
      stage.layer < 0 ? kNoLayer : config.layers[static_cast<size_t>(stage.layer)];
  const AttentionConfig& a = layer.attention;
  const FfnConfig& f = layer.ffn;
  switch (stage.kind) {
    case StageKind::kEmbed:
      return {.flops = 0,
              .weight_bytes = tokens * hidden * weights.dense,
              .kv_bytes = 0,
              .activation_bytes = tokens * hidden * kF32};
    case StageKind::kQkv:
      return qkv_cost(config, a, tokens, weights);
    case StageKind::kAttend:
      return attend_cost(a, load, weights);
    case StageKind::kOProj:
      if (a.latent) return latent_o_cost(hidden, a, tokens, weights);
      return matmul(hidden, double{1} * a.q_heads * a.head_dim, tokens, weights.dense);
    case StageKind::kRoute:
    case StageKind::kGuess:
      return route_cost(config, f, tokens, weights);
    case StageKind::kDispatch:
      return elementwise(tokens * f.top_k, 2, 8);
    case StageKind::kExpertGroup:
      return ffn_cost(hidden, f.inter, static_cast<double>(load.expert_tokens),
                      static_cast<double>(load.active_experts), weights.expert);
    case StageKind::kShared: {
      const double inter = f.is_moe() ? f.shared_inter : f.inter;
      return ffn_cost(hidden, inter, tokens, 1, weights.dense);
    }
    case StageKind::kCombine:
      return elementwise(tokens * hidden * f.top_k, 2, kF32);
    case StageKind::kHead: {
      Cost cost = elementwise(hidden * static_cast<double>(load.logit_rows), 4, 2 * kF32);
      cost += matmul(config.vocab, hidden, static_cast<double>(load.logit_rows), weights.dense);
      return cost;
    }
    case StageKind::kSample:
      return elementwise(double{1} * config.vocab * static_cast<double>(load.logit_rows), 8, kF32);
  }
  base::check_failed("known stage", "a StageKind outside its enum", __FILE__, __LINE__);
}

}  // namespace sluice::models
