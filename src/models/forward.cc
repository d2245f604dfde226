#include "models/forward.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <initializer_list>

#include "base/check.h"
#include "models/batch_angles.h"
#include "models/router.h"

namespace sluice::models {
namespace {

// One stage's view of everything, so that the stages below read like the model's definition.
struct Run {
  const ForwardContext& context;
  const ModelConfig& config;
  const Stage& stage;
  const BatchView& batch;
  Activations& act;
  const kernels::Exec& exec;
  int64_t rows;

  const LayerConfig& layer() const { return config.layers[static_cast<size_t>(stage.layer)]; }
  const LayerWeights& weights() const {
    return context.weights->layers[static_cast<size_t>(stage.layer)];
  }
};

// The input of products with `matrices`, in 8-bit codes if one of them is of a block format.
class Coded {
 public:
  Coded(const Run& run, std::initializer_list<const kernels::PackedMatrix*> matrices,
        const float* x, int64_t rows, std::byte* room) {
    for (const kernels::PackedMatrix* matrix : matrices) {
      if (!tensor::is_block_format(matrix->dtype)) continue;
      SLUICE_CHECK(room != nullptr, "activations were carved for block weights");
      rows_ = {room, matrix->cols};
      kernels::quantize_rows(run.exec, x, matrix->cols, rows, matrix->cols, rows_);
      return;
    }
  }
  const kernels::QuantizedRows* get() const { return rows_.data != nullptr ? &rows_ : nullptr; }

 private:
  kernels::QuantizedRows rows_;
};

void embed(const Run& run) {
  if (const memory::EmbeddingRows* rows = run.context.embedding_rows) {
    for (int64_t row = 0; row < run.rows; ++row) {
      std::copy_n(rows->at(run.batch.token_ids[static_cast<size_t>(row)]), run.config.hidden,
                  run.act.x + row * run.config.hidden);
    }
  } else {
    kernels::embed(run.exec, run.context.weights->embedding, run.batch.token_ids.data(), run.rows,
                   run.act.x, run.config.hidden);
  }
  fill_angles(run.context, run.batch, run.act);
}

void normalize_heads(const Run& run, float* x, const float* weight, int heads) {
  const AttentionConfig& a = run.layer().attention;
  const int64_t width = int64_t{heads} * a.head_dim;
  switch (a.qk_norm) {
    case QkNorm::kNone:
      return;
    case QkNorm::kPerHead:
      return kernels::rms_norm(run.exec, x, a.head_dim, weight, run.config.norm_eps,
                               run.rows * heads, a.head_dim, x, a.head_dim);
    case QkNorm::kFullWidth:
      return kernels::rms_norm(run.exec, x, width, weight, run.config.norm_eps, run.rows, width, x,
                               width);
  }
}

void rotate(const Run& run, float* x, int heads) {
  const AttentionConfig& a = run.layer().attention;
  kernels::rope(run.exec, x, int64_t{heads} * a.head_dim, run.rows, heads, a.head_dim, a.head_dim,
                run.act.angles);
}

void qkv(const Run& run) {
  const AttentionConfig& a = run.layer().attention;
  const LayerWeights& w = run.weights();
  const int64_t hidden = run.config.hidden;
  const int64_t q_width = int64_t{a.q_heads} * a.head_dim;
  const int64_t kv_width = int64_t{a.kv_heads} * a.head_dim;
  Activations& act = run.act;
  kernels::rms_norm(run.exec, act.x, hidden, w.attention_norm, run.config.norm_eps, run.rows,
                    hidden, act.normed, hidden);
  const Coded coded(run, {&w.q, &w.k, &w.v}, act.normed, run.rows, act.coded_input);
  const std::array products = {kernels::Product{&w.q, act.q, q_width, w.q_bias},
                               kernels::Product{&w.k, act.k, kv_width, w.k_bias},
                               kernels::Product{&w.v, act.v, kv_width, w.v_bias}};
  kernels::linear(run.exec, products, act.normed, hidden, run.rows, coded.get());
  normalize_heads(run, act.q, w.q_norm, a.q_heads);
  normalize_heads(run, act.k, w.k_norm, a.kv_heads);
  if (a.clip_qkv) {
    kernels::clamp(run.exec, act.q, q_width, run.rows, q_width, *a.clip_qkv);
    kernels::clamp(run.exec, act.k, kv_width, run.rows, kv_width, *a.clip_qkv);
    kernels::clamp(run.exec, act.v, kv_width, run.rows, kv_width, *a.clip_qkv);
  }
  rotate(run, act.q, a.q_heads);
  rotate(run, act.k, a.kv_heads);
}

// The cache lies where attention runs, so new keys and values enter it here. The batch may be some
// of a micro-batch's sequences, in the rows that they have there.
void attend(const Run& run) {
  const AttentionConfig& a = run.layer().attention;
  const int64_t width = int64_t{a.q_heads} * a.head_dim;
  const int64_t kv_width = int64_t{a.kv_heads} * a.head_dim;
  const int64_t first = run.batch.sequences.empty() ? 0 : run.batch.sequences.front().first_row;
  kernels::store_kv(run.exec, run.context.kv[static_cast<size_t>(run.stage.layer)],
                    run.act.k + first * kv_width, kv_width, run.act.v + first * kv_width, kv_width,
                    run.batch.kv_slots.data(), run.rows);
  run.act.sequences.clear();
  for (const SequenceRows& s : run.batch.sequences) {
    run.act.sequences.push_back({.blocks = s.blocks,
                                 .first_row = s.first_row,
                                 .rows = s.rows,
                                 .first_position = s.first_position});
  }
  kernels::attend(run.exec, {.cache = run.context.kv[static_cast<size_t>(run.stage.layer)],
                             .sequences = run.act.sequences,
                             .q = run.act.q,
                             .ld_q = width,
                             .out = run.act.attended,
                             .ld_out = width,
                             .q_heads = a.q_heads,
                             .scale = a.scale,
                             .scratch = run.act.attend_scratch});
}

void o_proj(const Run& run) {
  const AttentionConfig& a = run.layer().attention;
  const LayerWeights& w = run.weights();
  const Coded coded(run, {&w.o}, run.act.attended, run.rows, run.act.coded_input);
  kernels::linear(run.exec, w.o, run.act.attended, int64_t{a.q_heads} * a.head_dim, run.rows,
                  run.act.x, run.config.hidden,
                  {.bias = w.o_bias, .accumulate = true, .quantized = coded.get()});
}

// A counting sort by the experts' positions; within an expert, tokens keep their order.
void dispatch(const Run& run) {
  const FfnConfig& f = run.layer().ffn;
  Activations& act = run.act;
  const std::span<const int16_t> order = run.context.expert_order;
  const size_t base =
      static_cast<size_t>(run.stage.layer) * static_cast<size_t>(run.config.max_experts());
  int32_t first_slot = 0;
  for (int position = 0; position < f.experts; ++position) {
    const int16_t e = order.empty() ? static_cast<int16_t>(position)
                                    : order[base + static_cast<size_t>(position)];
    act.expert_order[position] = e;
    act.expert_first[e] = first_slot;
    first_slot += act.expert_tokens[e];
  }
  // expert_tokens serves as the write position and is counted back up to what it was.
  std::fill_n(act.expert_tokens, f.experts, 0);
  for (int64_t i = 0; i < run.rows * f.top_k; ++i) {
    const int32_t expert = act.expert[i];
    const int32_t slot = act.expert_first[expert] + act.expert_tokens[expert]++;
    act.slot_of[i] = slot;
    act.token_of_slot[slot] = static_cast<int32_t>(i / f.top_k);
  }
  // Once, however many experts, and tasks of some of them, read it. If one reads codes, all do.
  const FfnWeights& first = run.weights().experts.front();
  Coded(run, {&first.gate, &first.up}, act.normed, run.rows, act.coded_input);
}

void expert_group(const Run& run) {
  const FfnConfig& f = run.layer().ffn;
  Activations& act = run.act;
  act.groups.clear();
  for (int position = run.stage.first; position < run.stage.first + run.stage.count; ++position) {
    const int16_t e = act.expert_order[position];
    if (act.expert_tokens[e] == 0) continue;
    const FfnWeights& expert = run.weights().experts[static_cast<size_t>(e)];
    act.groups.push_back({.gate = &expert.gate,
                          .up = &expert.up,
                          .down = &expert.down,
                          .first_slot = act.expert_first[e],
                          .tokens = act.expert_tokens[e]});
  }
  if (act.groups.empty()) return;
  const kernels::QuantizedRows coded_input{act.coded_input, run.config.hidden};
  kernels::expert_gate_up(run.exec, act.groups, act.token_of_slot, act.normed, run.config.hidden,
                          act.expert_hidden, f.inter, &coded_input);
  // The slots of neighbouring experts follow each other.
  const int64_t first = act.groups.front().first_slot;
  const int64_t slots = act.groups.back().first_slot + act.groups.back().tokens - first;
  const kernels::QuantizedRows coded_hidden{act.coded_hidden, f.inter};
  if (tensor::is_block_format(act.groups.front().down->dtype)) {
    kernels::quantize_rows(run.exec, act.expert_hidden + first * f.inter, f.inter, slots, f.inter,
                           coded_hidden.from(first));
  }
  kernels::expert_down(run.exec, act.groups, act.expert_hidden, f.inter, act.expert_out,
                       run.config.hidden, &coded_hidden);
}

void shared(const Run& run) {
  const FfnConfig& f = run.layer().ffn;
  const LayerWeights& w = run.weights();
  const int64_t hidden = run.config.hidden;
  Activations& act = run.act;
  const Coded input(run, {&w.dense.gate, &w.dense.up}, act.normed, run.rows, act.coded_input);
  const std::array products = {kernels::Product{&w.dense.gate, act.gate, f.inter, w.gate_bias},
                               kernels::Product{&w.dense.up, act.up, f.inter, w.up_bias}};
  kernels::linear(run.exec, products, act.normed, hidden, run.rows, input.get());
  kernels::silu_mul(run.exec, act.gate, f.inter, act.up, f.inter, run.rows, f.inter, act.gate,
                    f.inter);
  const Coded between(run, {&w.dense.down}, act.gate, run.rows, act.coded_input);
  kernels::linear(run.exec, w.dense.down, act.gate, f.inter, run.rows, act.x, hidden,
                  {.bias = w.down_bias, .accumulate = true, .quantized = between.get()});
}

void combine(const Run& run) {
  const FfnConfig& f = run.layer().ffn;
  kernels::combine(run.exec, run.act.expert_out, run.config.hidden, run.act.slot_of,
                   run.act.expert_weight, run.rows, f.top_k, run.config.hidden, run.act.x,
                   run.config.hidden);
}

void head(const Run& run) {
  const int64_t hidden = run.config.hidden;
  Activations& act = run.act;
  const auto rows = part_rows(run.stage, run.batch, act.logit_rows);
  const auto count = static_cast<int64_t>(rows.size());
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(act.logit_input + i * hidden, act.x + rows[static_cast<size_t>(i)] * hidden,
                static_cast<size_t>(hidden) * sizeof(float));
  }
  kernels::rms_norm(run.exec, act.logit_input, hidden, run.context.weights->final_norm,
                    run.config.norm_eps, count, hidden, act.logit_input, hidden);
  const kernels::PackedMatrix& weights = run.context.weights->head;
  const Coded coded(run, {&weights}, act.logit_input, count, act.coded_input);
  kernels::linear(run.exec, weights, act.logit_input, hidden, count, act.logits, run.config.vocab,
                  {.quantized = coded.get()});
}

}  // namespace

void run_stage(const ForwardContext& context, const Stage& stage, const BatchView& batch,
               Activations& activations) {
  SLUICE_CHECK(context.parallel.alone(), "stages run on one rank");
  const Run run{context, *context.config, stage, batch, activations, context.exec, batch.rows()};
  switch (stage.kind) {
    case StageKind::kEmbed:
      return embed(run);
    case StageKind::kQkv:
      return qkv(run);
    case StageKind::kAttend:
      return attend(run);
    case StageKind::kOProj:
      return o_proj(run);
    case StageKind::kRoute:
      return route(context, stage.layer, run.rows, activations);
    case StageKind::kGuess:
      return guess(context, stage.layer, run.rows, activations);
    case StageKind::kDispatch:
      return dispatch(run);
    case StageKind::kExpertGroup:
      return expert_group(run);
    case StageKind::kShared:
      return shared(run);
    case StageKind::kCombine:
      return combine(run);
    case StageKind::kHead:
      return head(run);
    case StageKind::kSample:
      break;
  }
  base::check_failed("a stage of the model", "sampling is the engine's", __FILE__, __LINE__);
}

}  // namespace sluice::models
