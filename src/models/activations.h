// The buffers between stages. One set per micro-batch in flight: whatever crosses a stage's edge
// lies here, so that stages of different micro-batches may interleave on a lane.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/ops.h"
#include "memory/arena.h"
#include "models/config.h"

namespace sluice::models {

// The largest iteration that the buffers must hold.
struct ActivationLimits {
  int64_t rows = 0;            // tokens of one micro-batch's iteration
  int64_t logit_rows = 0;      // rows of one head part
  int64_t context = 0;         // keys of the longest sequence
  bool block_weights = false;  // some weights are of block formats
};

// Views into an arena; rows are contiguous ([rows, width] with ld = width).
struct Activations {
  float* x = nullptr;          // [rows, hidden] the residual stream
  float* normed = nullptr;     // [rows, hidden]
  float* q = nullptr;          // [rows, q_heads * head_dim]
  float* k = nullptr;          // [rows, kv_heads * head_dim]
  float* v = nullptr;          // [rows, kv_heads * head_dim]
  float* attended = nullptr;   // [rows, q_heads * head_dim]
  float* inv_freq = nullptr;   // [rows, head_dim / 2], dynamic rope only
  kernels::RopeAngles angles;  // [rows, head_dim / 2] each, of the iteration, for every layer
  float* attend_scratch = nullptr;

  float* router_logits = nullptr;    // [rows, experts]
  int32_t* expert = nullptr;         // [rows, top_k]
  float* expert_weight = nullptr;    // [rows, top_k]
  int32_t* slot_of = nullptr;        // [rows, top_k]: row of expert_out
  int32_t* token_of_slot = nullptr;  // [rows * top_k], sorted by the expert's position, then token
  int32_t* expert_tokens = nullptr;  // [experts]: counts of the layer last routed
  int16_t* expert_order = nullptr;   // [experts]: by position, set by dispatch
  int32_t* expert_first = nullptr;   // [experts]: first slot of each
  float* expert_hidden = nullptr;    // [rows * top_k, inter]
  float* expert_out = nullptr;       // [rows * top_k, hidden]
  // Of a guess, which runs while experts still need what is above. At most kMaxGuessRows rows.
  float* guess_normed = nullptr;    // [rows, hidden]
  float* guess_logits = nullptr;    // [rows, experts]
  int32_t* guess_expert = nullptr;  // [rows, top_k]
  float* guess_weight = nullptr;    // [rows, top_k]
  int32_t* guess_points = nullptr;  // [experts]: top_k for a row's first choice, 1 for its last

  float* gate = nullptr;  // [rows, dense inter]
  float* up = nullptr;    // [rows, dense inter]

  // For products with block formats: one stage's input, [rows] of up to the widest; and [rows *
  // top_k, inter]. Null without block weights.
  std::byte* coded_input = nullptr;
  std::byte* coded_hidden = nullptr;

  int64_t logit_rows = 0;        // rows of one head part
  float* logit_input = nullptr;  // [logit_rows, hidden]
  float* logits = nullptr;       // [logit_rows, vocab]

  std::vector<kernels::ExpertGroup> groups;        // capacity: experts
  std::vector<kernels::AttendSequence> sequences;  // capacity: rows
};

// Bytes that carve() takes from the arena for one set.
int64_t activation_bytes(const ModelConfig& config, const ActivationLimits& limits);

Activations carve_activations(const ModelConfig& config, const ActivationLimits& limits,
                              memory::Arena& arena);

}  // namespace sluice::models
