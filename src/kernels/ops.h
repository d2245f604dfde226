// The ops that stages are made of. All activations are f32, row-major, owned by the caller; `ld_*`
// is the distance between rows in elements. Every op is canonical: a row of its result depends only
// on that row's inputs, never on how many rows, threads or blocks there were, and is the same bits
// on every ISA (sums run over K in order, one fused multiply-add each, output rows across lanes).
#pragma once

#include <cstdint>
#include <span>

#include "kernels/exec.h"
#include "kernels/kv_layout.h"
#include "kernels/packed.h"
#include "kernels/quantized_rows.h"

namespace sluice::kernels {

// y[t] = x[t] * rsqrt(mean(x[t]^2) + eps) * weight, x and y [rows, dim], weight [dim]. y may be x.
void rms_norm(const Exec& exec, const float* x, int64_t ld_x, const float* weight, float eps,
              int64_t rows, int64_t dim, float* y, int64_t ld_y);

// x [rows, cols] into 8-bit codes with a scale for every 32 values of K (quantized_rows.h); cols a
// multiple of 32. `out` has room for the rows; row t lies at out.data + t * row_bytes(cols). Codes
// are round(x * 127 / largest), halves to even. A span with a NaN or an infinity becomes NaN.
void quantize_rows(const Exec& exec, const float* x, int64_t ld_x, int64_t rows, int64_t cols,
                   const QuantizedRows& out);

// Products with block formats read 8-bit codes of x, which the caller made with quantize_rows();
// x itself is then not read. Their sums are whole numbers within a group of K and f32 over groups
// in order (block_table.h). Products with float formats read x in f32; those with bf16_dot round it
// to bf16 and take the pairs of K in order, of each the odd one first (op_table.h).
//
// y[t] = W x[t] (+ bias) (+ y[t] if accumulate); x [tokens, W.cols], y [tokens, W.rows], bias
// [W.rows] or null. Accumulation adds the finished product to y, after the bias.
struct LinearOptions {
  const float* bias = nullptr;
  bool accumulate = false;
  const QuantizedRows* quantized = nullptr;  // of x; needed where W is of a block format
};
void linear(const Exec& exec, const PackedMatrix& w, const float* x, int64_t ld_x, int64_t tokens,
            float* y, int64_t ld_y, const LinearOptions& options = {});

// One of several products of the same x, as above.
struct Product {
  const PackedMatrix* w = nullptr;  // all of the same columns
  float* y = nullptr;
  int64_t ld_y = 0;
  const float* bias = nullptr;
  bool accumulate = false;
};
// All of them, in one pool of work: a small product by itself ends with a part of the team idle.
void linear(const Exec& exec, std::span<const Product> products, const float* x, int64_t ld_x,
            int64_t tokens, const QuantizedRows* quantized = nullptr);

// One expert's share of a layer: the tokens routed to it occupy slots [first_slot, first_slot +
// tokens) of the layer's sorted order.
struct ExpertGroup {
  const PackedMatrix* gate = nullptr;  // [inter, hidden]
  const PackedMatrix* up = nullptr;    // [inter, hidden], of gate's dtype or another
  const PackedMatrix* down = nullptr;  // [hidden, inter]
  int64_t first_slot = 0;
  int64_t tokens = 0;
};

// hidden[slot] = silu(gate x) * (up x) with x = x[token_of_slot[slot]], for all slots of all
// groups; hidden [slots, inter]. Work is shared by (group, row block) over the whole team.
// `quantized`: of x [tokens, hidden]; needed if a gate or an up is of a block format, and x if one
// is not.
void expert_gate_up(const Exec& exec, std::span<const ExpertGroup> groups,
                    const int32_t* token_of_slot, const float* x, int64_t ld_x, float* hidden,
                    int64_t ld_hidden, const QuantizedRows* quantized = nullptr);

// out[slot] = down hidden[slot], for all slots of all groups; out [slots, hidden]. `quantized`: of
// hidden [slots, inter].
void expert_down(const Exec& exec, std::span<const ExpertGroup> groups, const float* hidden,
                 int64_t ld_hidden, float* out, int64_t ld_out,
                 const QuantizedRows* quantized = nullptr);

// y[t] += sum over k in order of weight[t, k] * out[slot_of[t, k]]; weight and slot_of [tokens,
// top_k].
void combine(const Exec& exec, const float* out, int64_t ld_out, const int32_t* slot_of,
             const float* weight, int64_t tokens, int top_k, int64_t dim, float* y, int64_t ld_y);

// y = silu(gate) * up elementwise over [rows, dim]; y may be gate.
void silu_mul(const Exec& exec, const float* gate, int64_t ld_gate, const float* up, int64_t ld_up,
              int64_t rows, int64_t dim, float* y, int64_t ld_y);

// cos and sin of the angles by which rope() turns, times `scale`: [tokens, rotary_dim / 2] each, of
// angle positions[t] * inv_freq[i]. inv_freq is [rotary_dim / 2]; with `ld_inv_freq` > 0 each token
// has its own row of it (dynamic scaling).
struct RopeAngles {
  float* cosine = nullptr;
  float* sine = nullptr;
};
void rope_angles(const Exec& exec, int64_t tokens, int rotary_dim, const int32_t* positions,
                 const float* inv_freq, int64_t ld_inv_freq, float scale, const RopeAngles& angles);

// Rotates pairs (i, i + rotary_dim/2) of every head of x [tokens, heads, head_dim].
void rope(const Exec& exec, float* x, int64_t ld_x, int64_t tokens, int heads, int head_dim,
          int rotary_dim, const RopeAngles& angles);

constexpr int kMaxExperts = 1024;  // of one layer

// How a router turns logits into experts and weights.
struct RouterRule {
  enum class Score : uint8_t { kSoftmax };  // over all experts, in f32, before the choice
  Score score = Score::kSoftmax;
  int top_k = 0;
  bool renormalize = false;  // weights of the chosen sum to 1
};

// logits [tokens, experts] -> expert [tokens, top_k] in descending score (ties: the lower expert
// first) and weight [tokens, top_k].
void route(const Exec& exec, const float* logits, int64_t ld_logits, int64_t tokens, int experts,
           const RouterRule& rule, int32_t* expert, float* weight);

// Writes keys and values [tokens, kv_heads, dim] of one layer into the cache: token t goes to slot
// `slots[t]` = block * block_tokens + offset. f16 and bf16 are rounded to nearest even; f16 becomes
// infinity from 65520 on. q8 keeps round(x * (127 / largest)), halves to even, and the scale
// largest / 127, with the largest magnitude of the head's key (or value): a NaN or an infinity in
// it makes the scale NaN and the codes 0, none of kSmallestKvMagnitude makes both 0.
constexpr float kSmallestKvMagnitude = 0x1p-100f;  // below it 127 / largest would overflow
void store_kv(const Exec& exec, const KvLayerView& cache, const float* keys, int64_t ld_keys,
              const float* values, int64_t ld_values, const int64_t* slots, int64_t tokens);

// One sequence's rows of an attention call: query row r sits at position first_position + r and
// sees positions [0, first_position + r] (causal; the keys of these tokens are already in the
// cache).
struct AttendSequence {
  const int32_t* blocks = nullptr;  // block table
  int64_t first_row = 0;            // in q and out
  int64_t rows = 0;
  int64_t first_position = 0;
};

struct AttendArgs {
  KvLayerView cache;
  std::span<const AttendSequence> sequences;
  const float* q = nullptr;  // [rows, q_heads, key_dim]
  int64_t ld_q = 0;
  float* out = nullptr;  // [rows, q_heads, value_dim]
  int64_t ld_out = 0;
  int q_heads = 0;
  float scale = 1.0f;
  // Scratch for contexts split at absolute positions (every kAttendSplit keys), so that one long
  // sequence uses the whole team; attend_scratch_floats() of the largest call. Null: no sharing of
  // one sequence's splits.
  float* scratch = nullptr;
};

constexpr int64_t kAttendSplit = 512;

// More rows than these are shared out whole, without splits.
constexpr int64_t kMaxSplitRows = 16;
constexpr int kMaxValueDim = 512;

int64_t attend_scratch_floats(int64_t rows, int q_heads, int value_dim, int64_t max_context);

// out = softmax(scale q k^T, causal) v, blocked over keys with a running maximum; blocks and splits
// lie at absolute positions, so the bits do not depend on chunking or on who shares the batch. With
// q8 the products are with codes: a score is multiplied by its key's scale when it is summed, a
// weight by its value's scale before it is multiplied with codes; the sum of weights knows no
// scale.
void attend(const Exec& exec, const AttendArgs& args);

// out[t] = row ids[t] of `table` as f32; ids must be in range. out [tokens, table.cols].
void embed(const Exec& exec, const PackedMatrix& table, const int32_t* ids, int64_t tokens,
           float* out, int64_t ld_out);

// y += x over [rows, dim].
void add(const Exec& exec, const float* x, int64_t ld_x, int64_t rows, int64_t dim, float* y,
         int64_t ld_y);

// x = clamp(x, -limit, limit) over [rows, dim] (OLMoE's clip_qkv).
void clamp(const Exec& exec, float* x, int64_t ld_x, int64_t rows, int64_t dim, float limit);

// Per row of logits [rows, dim]: the index of the maximum (ties: the lowest) and log(sum(exp(x)))
// with its exponentials summed in a fixed order.
void argmax(const Exec& exec, const float* logits, int64_t ld, int64_t rows, int64_t dim,
            int32_t* index);
void log_sum_exp(const Exec& exec, const float* logits, int64_t ld, int64_t rows, int64_t dim,
                 float* out);

}  // namespace sluice::kernels
