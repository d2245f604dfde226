#include "models/activations.h"

#include <algorithm>

#include "base/rounding.h"
#include "models/stage.h"

namespace sluice::models {
namespace {

constexpr int64_t kAlignment = 64;

// The widest of each part over all layers.
struct Widths {
  int64_t q = 0, kv = 0, half_head = 0, experts = 0, top_k = 0, expert_inter = 0, dense_inter = 0;
  int64_t q_heads = 0, value_dim = 0;
};

Widths widths_of(const ModelConfig& config) {
  Widths w;
  for (const LayerConfig& layer : config.layers) {
    const AttentionConfig& a = layer.attention;
    w.q = std::max(w.q, int64_t{a.q_heads} * a.head_dim);
    w.kv = std::max(w.kv, int64_t{a.kv_heads} * a.head_dim);
    w.half_head = std::max<int64_t>(w.half_head, a.head_dim / 2);
    w.q_heads = std::max<int64_t>(w.q_heads, a.q_heads);
    w.value_dim = std::max<int64_t>(w.value_dim, a.head_dim);
    w.experts = std::max<int64_t>(w.experts, layer.ffn.experts);
    w.top_k = std::max<int64_t>(w.top_k, layer.ffn.top_k);
    if (layer.ffn.is_moe()) {
      w.expert_inter = std::max<int64_t>(w.expert_inter, layer.ffn.inter);
    } else {
      w.dense_inter = std::max<int64_t>(w.dense_inter, layer.ffn.inter);
    }
    w.dense_inter = std::max<int64_t>(w.dense_inter, layer.ffn.shared_inter);
  }
  return w;
}

// Walks the buffers once to count and once to place them, so that the two cannot disagree.
class Carver {
 public:
  explicit Carver(std::byte* base) : base_(base) {}

  template <class T>
  void take(T*& pointer, int64_t elements) {
    if (base_ != nullptr) pointer = reinterpret_cast<T*>(base_ + bytes_);
    bytes_ += base::round_up(elements * static_cast<int64_t>(sizeof(T)), kAlignment);
  }
  int64_t bytes() const { return bytes_; }

 private:
  std::byte* base_;
  int64_t bytes_ = 0;
};

int64_t walk(const ModelConfig& config, const ActivationLimits& limits, std::byte* base,
             Activations& a) {
  const Widths w = widths_of(config);
  const int64_t rows = limits.rows;
  const int64_t slots = rows * w.top_k;
  Carver carver(base);
  carver.take(a.x, rows * config.hidden);
  carver.take(a.normed, rows * config.hidden);
  carver.take(a.q, rows * w.q);
  carver.take(a.k, rows * w.kv);
  carver.take(a.v, rows * w.kv);
  carver.take(a.attended, rows * w.q);
  carver.take(a.inv_freq, config.rope.kind == RopeKind::kDynamic ? rows * w.half_head : 0);
  carver.take(a.angles.cosine, rows * w.half_head);
  carver.take(a.angles.sine, rows * w.half_head);
  carver.take(a.attend_scratch,
              kernels::attend_scratch_floats(rows, static_cast<int>(w.q_heads),
                                             static_cast<int>(w.value_dim), limits.context));
  carver.take(a.router_logits, rows * w.experts);
  carver.take(a.expert, slots);
  carver.take(a.expert_weight, slots);
  carver.take(a.slot_of, slots);
  carver.take(a.token_of_slot, slots);
  carver.take(a.expert_tokens, w.experts);
  carver.take(a.expert_order, w.experts);
  carver.take(a.expert_first, w.experts);
  carver.take(a.expert_hidden, slots * w.expert_inter);
  carver.take(a.expert_out, slots * config.hidden);
  const int64_t guess_rows = std::min(rows, kMaxGuessRows);
  carver.take(a.guess_normed, guess_rows * config.hidden);
  carver.take(a.guess_logits, guess_rows * w.experts);
  carver.take(a.guess_expert, guess_rows * w.top_k);
  carver.take(a.guess_weight, guess_rows * w.top_k);
  carver.take(a.guess_points, w.experts);
  carver.take(a.gate, rows * w.dense_inter);
  carver.take(a.up, rows * w.dense_inter);
  if (limits.block_weights) {
    const int64_t widest = std::max({int64_t{config.hidden}, w.q, w.dense_inter});
    const int64_t most = std::max(rows, limits.logit_rows);
    carver.take(a.coded_input, most * kernels::QuantizedRows::row_bytes(widest));
    carver.take(a.coded_hidden, slots * kernels::QuantizedRows::row_bytes(w.expert_inter));
  }
  carver.take(a.logit_input, limits.logit_rows * config.hidden);
  carver.take(a.logits, limits.logit_rows * config.vocab);
  return carver.bytes();
}

}  // namespace

int64_t activation_bytes(const ModelConfig& config, const ActivationLimits& limits) {
  Activations unused;
  return walk(config, limits, nullptr, unused);
}

Activations carve_activations(const ModelConfig& config, const ActivationLimits& limits,
                              memory::Arena& arena) {
  Activations activations;
  const int64_t bytes = activation_bytes(config, limits);
  walk(config, limits, arena.allocate("activations", bytes, kAlignment).data(), activations);
  activations.logit_rows = limits.logit_rows;
  activations.groups.reserve(static_cast<size_t>(config.max_experts()));
  activations.sequences.reserve(static_cast<size_t>(limits.rows));
  return activations;
}

}  // namespace sluice::models
