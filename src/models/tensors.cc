#include "models/tensors.h"

#include <algorithm>
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
  Table(const ModelConfig& config, const TensorNames& names)
      : config_(config), names_(names), decoder_(*names.decoder) {}

  void add(std::string name, tensor::Shape shape, Slot slot, int layer = -1, int expert = -1) {
    if (layer >= 0) name = decoder_.layers + std::to_string(layer) + "." + name;
    entries_.push_back({std::move(name), shape, slot, layer, expert, shape, 0});
  }
  void weight(const char* stem, tensor::Shape shape, Slot slot, int layer = -1) {
    add(std::string(stem) + ".weight", shape, slot, layer);
  }
  void bias(const char* stem, int64_t size, Slot slot, int layer) {
    add(std::string(stem) + ".bias", {size}, slot, layer);
  }
  // Of the entry added last.
  void rotary(int heads) {
    if (names_.interleaved_rotary) entries_.back().rotary_heads = heads;
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
    weight(decoder_.attention_norm, {config_.hidden}, Slot::kAttentionNorm, layer);
    weight(decoder_.q, {q, config_.hidden}, Slot::kQ, layer);
    rotary(a.q_heads);
    weight(decoder_.k, {kv, config_.hidden}, Slot::kK, layer);
    rotary(a.kv_heads);
    weight(decoder_.v, {kv, config_.hidden}, Slot::kV, layer);
    if (a.qkv_bias) {
      bias(decoder_.q, q, Slot::kQBias, layer);
      rotary(a.q_heads);
      bias(decoder_.k, kv, Slot::kKBias, layer);
      rotary(a.kv_heads);
      bias(decoder_.v, kv, Slot::kVBias, layer);
    }
    if (a.qk_norm != QkNorm::kNone) {
      const bool per_head = a.qk_norm == QkNorm::kPerHead;
      weight(decoder_.q_norm, {per_head ? a.head_dim : q}, Slot::kQNorm, layer);
      weight(decoder_.k_norm, {per_head ? a.head_dim : kv}, Slot::kKNorm, layer);
    }
    weight(decoder_.o, {config_.hidden, q}, Slot::kO, layer);
    if (a.o_bias) bias(decoder_.o, config_.hidden, Slot::kOBias, layer);
  }

  void ffn(int layer) {
    const FfnConfig& f = config_.layers[static_cast<size_t>(layer)].ffn;
    weight(decoder_.ffn_norm, {config_.hidden}, Slot::kFfnNorm, layer);
    if (!f.is_moe()) {
      weight(decoder_.gate, {f.inter, config_.hidden}, Slot::kGate, layer);
      weight(decoder_.up, {f.inter, config_.hidden}, Slot::kUp, layer);
      weight(decoder_.down, {config_.hidden, f.inter}, Slot::kDown, layer);
      if (f.bias) {
        bias(decoder_.gate, f.inter, Slot::kGateBias, layer);
        bias(decoder_.up, f.inter, Slot::kUpBias, layer);
        bias(decoder_.down, config_.hidden, Slot::kDownBias, layer);
      }
      return;
    }
    add(names_.router, {f.experts, config_.hidden}, Slot::kRouter, layer);
    const bool gate_with_up = std::string_view(names_.expert_gate) == names_.expert_up;
    for (int e = 0; e < f.experts; ++e) {
      add_expert(names_.expert_gate, {f.inter, config_.hidden}, Slot::kGate, layer, e, 0,
                 gate_with_up ? 2 : 1);
      add_expert(names_.expert_up, {f.inter, config_.hidden}, Slot::kUp, layer, e,
                 gate_with_up ? 1 : 0, gate_with_up ? 2 : 1);
      add_expert(names_.expert_down, {config_.hidden, f.inter}, Slot::kDown, layer, e, 0, 1);
    }
  }

  std::vector<TensorSlot> take() { return std::move(entries_); }

 private:
  const ModelConfig& config_;
  const TensorNames& names_;
  const DecoderNames& decoder_;
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

const DecoderNames kHuggingFaceNames{.layers = "model.layers.",
                                     .embedding = "model.embed_tokens",
                                     .final_norm = "model.norm",
                                     .head = "lm_head",
                                     .attention_norm = "input_layernorm",
                                     .q = "self_attn.q_proj",
                                     .k = "self_attn.k_proj",
                                     .v = "self_attn.v_proj",
                                     .q_norm = "self_attn.q_norm",
                                     .k_norm = "self_attn.k_norm",
                                     .o = "self_attn.o_proj",
                                     .ffn_norm = "post_attention_layernorm",
                                     .gate = "mlp.gate_proj",
                                     .up = "mlp.up_proj",
                                     .down = "mlp.down_proj"};

const DecoderNames kGgufNames{.layers = "blk.",
                              .embedding = "token_embd",
                              .final_norm = "output_norm",
                              .head = "output",
                              .attention_norm = "attn_norm",
                              .q = "attn_q",
                              .k = "attn_k",
                              .v = "attn_v",
                              .q_norm = "attn_q_norm",
                              .k_norm = "attn_k_norm",
                              .o = "attn_output",
                              .ffn_norm = "ffn_norm",
                              .gate = "ffn_gate",
                              .up = "ffn_up",
                              .down = "ffn_down"};

const std::vector<std::string> kIgnoredTensors = {"*.rotary_emb.inv_freq"};

const TensorNames& stacked_expert_names() {
  static constexpr TensorNames kNames{"mlp.gate.weight", "mlp.experts.gate_up_proj",
                                      "mlp.experts.gate_up_proj", "mlp.experts.down_proj"};
  return kNames;
}

const TensorNames& gguf_names(bool interleaved_rotary) {
  static constexpr TensorNames kNames{"ffn_gate_inp.weight", "ffn_gate_exps.weight",
                                      "ffn_up_exps.weight", "ffn_down_exps.weight", &kGgufNames};
  static constexpr TensorNames kInterleaved{
      kNames.router, kNames.expert_gate, kNames.expert_up, kNames.expert_down, &kGgufNames, true};
  return interleaved_rotary ? kInterleaved : kNames;
}

size_t embedding_slot(const std::vector<TensorSlot>& table) {
  const auto found = std::ranges::find(table, Slot::kEmbedding, &TensorSlot::slot);
  SLUICE_CHECK(found != table.end(), "every model has an embedding");
  return static_cast<size_t>(found - table.begin());
}

int64_t stored_row(const TensorSlot& tensor, int64_t row) {
  if (tensor.rotary_heads == 0) return row;
  const int64_t head_rows = tensor.shape[0] / tensor.rotary_heads;
  const int64_t half = head_rows / 2;
  const int64_t in_head = row % head_rows;
  return row - in_head + in_head % half * 2 + in_head / half;
}

std::vector<TensorSlot> tensor_table(const ModelConfig& config, const TensorNames& names) {
  Table table(config, names);
  const DecoderNames& decoder = *names.decoder;
  table.weight(decoder.embedding, {config.vocab, config.hidden}, Slot::kEmbedding);
  for (int layer = 0; layer < config.layer_count(); ++layer) {
    table.attention(layer);
    table.ffn(layer);
  }
  table.weight(decoder.final_norm, {config.hidden}, Slot::kFinalNorm);
  if (!config.tied_embeddings)
    table.weight(decoder.head, {config.vocab, config.hidden}, Slot::kHead);
  return table.take();
}

}  // namespace sluice::models
