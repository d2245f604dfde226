#include "models/tensors.h"

#include <string_view>

#include "base/check.h"

namespace sluice::models {
namespace {

constexpr std::string_view kNumber = "{}";

bool is_stacked(const char* pattern) {
  return std::string_view(pattern).find(kNumber) == std::string_view::npos;
}

std::string numbered(const char* pattern, int number) {
  std::string text = pattern;
  return text.replace(text.find(kNumber), kNumber.size(), std::to_string(number));
}

class Table {
 public:
  explicit Table(const ModelConfig& config) : config_(config) {}

  void add(std::string name, tensor::Shape shape, Slot slot, int layer = -1, int expert = -1) {
    if (layer >= 0) name = "model.layers." + std::to_string(layer) + "." + name;
    entries_.push_back({std::move(name), shape, slot, layer, expert, shape, 0});
  }

  // An expert's matrix: a tensor of its own, or `place` of `per_expert` equal parts of a stack's
  // entry.
  void add_expert(const char* pattern, tensor::Shape shape, Slot slot, int layer, int expert,
                  int place, int per_expert) {
    if (!is_stacked(pattern)) return add(numbered(pattern, expert), shape, slot, layer, expert);
    const int64_t experts = config_.layers[static_cast<size_t>(layer)].ffn.experts;
    add(pattern, shape, slot, layer, expert);
    entries_.back().stored_shape = {experts, per_expert * shape[0], shape[1]};
    entries_.back().first_row = (int64_t{expert} * per_expert + place) * shape[0];
  }

  void attention(int layer) {
    const AttentionConfig& a = config_.layers[static_cast<size_t>(layer)].attention;
    const int64_t q = int64_t{a.q_heads} * a.head_dim;
    const int64_t kv = int64_t{a.kv_heads} * a.head_dim;
    add("input_layernorm.weight", {config_.hidden}, Slot::kAttentionNorm, layer);
    add("self_attn.q_proj.weight", {q, config_.hidden}, Slot::kQ, layer);
    add("self_attn.k_proj.weight", {kv, config_.hidden}, Slot::kK, layer);
    add("self_attn.v_proj.weight", {kv, config_.hidden}, Slot::kV, layer);
    if (a.qkv_bias) {
      add("self_attn.q_proj.bias", {q}, Slot::kQBias, layer);
      add("self_attn.k_proj.bias", {kv}, Slot::kKBias, layer);
      add("self_attn.v_proj.bias", {kv}, Slot::kVBias, layer);
    }
    if (a.qk_norm != QkNorm::kNone) {
      const bool per_head = a.qk_norm == QkNorm::kPerHead;
      add("self_attn.q_norm.weight", {per_head ? a.head_dim : q}, Slot::kQNorm, layer);
      add("self_attn.k_norm.weight", {per_head ? a.head_dim : kv}, Slot::kKNorm, layer);
    }
    add("self_attn.o_proj.weight", {config_.hidden, q}, Slot::kO, layer);
    if (a.o_bias) add("self_attn.o_proj.bias", {config_.hidden}, Slot::kOBias, layer);
  }

  void ffn(int layer, const TensorNames& names) {
    const FfnConfig& f = config_.layers[static_cast<size_t>(layer)].ffn;
    add("post_attention_layernorm.weight", {config_.hidden}, Slot::kFfnNorm, layer);
    if (!f.is_moe()) {
      add("mlp.gate_proj.weight", {f.inter, config_.hidden}, Slot::kGate, layer);
      add("mlp.up_proj.weight", {f.inter, config_.hidden}, Slot::kUp, layer);
      add("mlp.down_proj.weight", {config_.hidden, f.inter}, Slot::kDown, layer);
      if (f.bias) {
        add("mlp.gate_proj.bias", {f.inter}, Slot::kGateBias, layer);
        add("mlp.up_proj.bias", {f.inter}, Slot::kUpBias, layer);
        add("mlp.down_proj.bias", {config_.hidden}, Slot::kDownBias, layer);
      }
      return;
    }
    add(names.router, {f.experts, config_.hidden}, Slot::kRouter, layer);
    const bool gate_with_up = std::string_view(names.expert_gate) == names.expert_up;
    for (int e = 0; e < f.experts; ++e) {
      add_expert(names.expert_gate, {f.inter, config_.hidden}, Slot::kGate, layer, e, 0,
                 gate_with_up ? 2 : 1);
      add_expert(names.expert_up, {f.inter, config_.hidden}, Slot::kUp, layer, e,
                 gate_with_up ? 1 : 0, gate_with_up ? 2 : 1);
      add_expert(names.expert_down, {config_.hidden, f.inter}, Slot::kDown, layer, e, 0, 1);
    }
  }

  std::vector<TensorSlot> take() { return std::move(entries_); }

 private:
  const ModelConfig& config_;
  std::vector<TensorSlot> entries_;
};

}  // namespace

const char* name(Use use) {
  switch (use) {
    case Use::kEmbedding:
      return "embedding";
    case Use::kAttention:
      return "attention";
    case Use::kRouter:
      return "router";
    case Use::kExpert:
      return "experts";
    case Use::kDense:
      return "dense ffn";
    case Use::kNorm:
      return "norms";
    case Use::kHead:
      return "head";
  }
  base::check_failed("known use", "a Use outside its enum", __FILE__, __LINE__);
}

Use TensorSlot::use() const {
  switch (slot) {
    case Slot::kEmbedding:
      return Use::kEmbedding;
    case Slot::kHead:
      return Use::kHead;
    case Slot::kRouter:
      return Use::kRouter;
    case Slot::kFinalNorm:
    case Slot::kAttentionNorm:
    case Slot::kQNorm:
    case Slot::kKNorm:
    case Slot::kFfnNorm:
      return Use::kNorm;
    case Slot::kQ:
    case Slot::kK:
    case Slot::kV:
    case Slot::kO:
    case Slot::kQBias:
    case Slot::kKBias:
    case Slot::kVBias:
    case Slot::kOBias:
      return Use::kAttention;
    case Slot::kGate:
    case Slot::kUp:
    case Slot::kDown:
    case Slot::kGateBias:
    case Slot::kUpBias:
    case Slot::kDownBias:
      return is_expert() ? Use::kExpert : Use::kDense;
  }
  base::check_failed("known slot", "a Slot outside its enum", __FILE__, __LINE__);
}

const std::vector<std::string> kIgnoredTensors = {"*.rotary_emb.inv_freq"};

const TensorNames& stacked_expert_names() {
  static constexpr TensorNames kNames{"mlp.gate.weight", "mlp.experts.gate_up_proj",
                                      "mlp.experts.gate_up_proj", "mlp.experts.down_proj"};
  return kNames;
}

std::vector<TensorSlot> tensor_table(const ModelConfig& config, const TensorNames& names) {
  Table table(config);
  table.add("model.embed_tokens.weight", {config.vocab, config.hidden}, Slot::kEmbedding);
  for (int layer = 0; layer < config.layer_count(); ++layer) {
    table.attention(layer);
    table.ffn(layer, names);
  }
  table.add("model.norm.weight", {config.hidden}, Slot::kFinalNorm);
  if (!config.tied_embeddings)
    table.add("lm_head.weight", {config.vocab, config.hidden}, Slot::kHead);
  return table.take();
}

}  // namespace sluice::models
