// What is decided before the first token, as data. A policy is what a planner searches; a plan is
// that policy made concrete for one model on one machine: sizes of arenas, limits, placement.
#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"
#include "base/rounding.h"
#include "kernels/kv_layout.h"
#include "plan/policy.h"

namespace sluice::plan {

struct Plan {
  Policy policy;

  // Limits, as the flags name them.
  int64_t max_seq_len = 0;     // prompt + generated tokens of one sequence
  int64_t max_num_tokens = 0;  // rows of one micro-batch's iteration
  int64_t logit_rows = 0;      // rows of one head part

  // The paged KV cache.
  kernels::KvDType kv_dtype = kernels::KvDType::kF32;
  int64_t kv_block_tokens = 0;
  int64_t kv_blocks = 0;

  // Of these blocks, where the home of some is not where attention runs (with a device the host,
  // with the host the disk), those that stay there, in every layer: the first ones. Of the others
  // so many find room there at a time, in each of two windows; with a home on disk, where whole
  // blocks go, also so many that are being filled.
  int64_t resident_kv_blocks = 0;
  int64_t kv_window = 0;
  int64_t kv_tails = 0;

  // Experts in memory at once, of all layers, on the device if there is one; 0: all there are. Of
  // these so many make room for others, the rest stays.
  int64_t expert_slots = 0;
  int64_t moving_slots = 0;

  // Rows of the token embedding in memory at once, where the table stays on disk; 0: all of it.
  int64_t embedding_rows = 0;

  // Bytes reserved before the first token.
  int64_t weight_bytes = 0;
  int64_t kv_bytes = 0;       // of the host's memory
  int64_t kv_disk_bytes = 0;  // of a scratch file
  int64_t activation_bytes = 0;
  int64_t device_bytes = 0;  // of a device's memory: weights, activations and KV together

  int threads = 1;
  // Nodes of memory that these threads' cores have, and whether weights and KV lie on them in turn.
  int memory_nodes = 1;
  bool interleaved = false;

  int64_t total_bytes() const { return weight_bytes + kv_bytes + activation_bytes; }
  int64_t micro_batches() const { return base::div_up(policy.batch, policy.micro_batch); }
  bool operator==(const Plan&) const = default;
};

Json to_json(const Plan& plan);
Result<Plan> plan_from_json(const Json& json);

}  // namespace sluice::plan
