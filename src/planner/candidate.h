// What the search walks: a policy, and what the policy leaves open.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/rounding.h"
#include "kernels/kv_layout.h"
#include "plan/policy.h"

namespace sluice::planner {

struct Candidate {
  plan::Policy policy;         // schedule, N, mu, A_g, F_g; r_w, r_c where is computed and attended
  int64_t embedding_rows = 0;  // of the token embedding, in host memory; 0: all of it
  double host_weights = 1;     // share of the experts in host memory, or above it; the rest on disk
  kernels::KvDType kv_dtype = kernels::KvDType::kBF16;
  std::string quant = "none";
  int64_t max_num_tokens = 0;  // rows of one micro-batch's iteration
  bool operator==(const Candidate&) const = default;

  int64_t micro_batches() const { return base::div_up(policy.batch, policy.micro_batch); }
};

// "on the device", "on the host", "where each is sooner".
const char* words(plan::Place experts_on);

// How a schedule lets its lanes overlap within a pass over all micro-batches.
enum class Overlap : uint8_t {
  kAll,    // every lane at once: T = max over lanes                         // HRM eq. 12
  kNone,   // one task at a time: the sum
  kSteps,  // every micro-batch's attention is a step, then every one's experts, and each step waits
           // for all that it started: the cache of the next micro-batch moves beside attention, a
           // layer's weights beside the first micro-batch's alone, nothing beside experts;
           // attention on the host waits with the device: FlexGen
};

// How what moves to the device reaches pinned memory, which alone a link reads at its full rate.
enum class Staging : uint8_t {
  kPinned,  // it lies there
  kBeside,  // a thread of the host copies weights there, page by page, while all else goes on
  kBefore,  // the thread that launches work copies weights and cache there first: all else waits
};

// How the host attends over its cache.
enum class HostAttention : uint8_t {
  kInPlace,   // reads it as it lies, once for all query heads of a group
  kExpanded,  // in float32, repeated for every query head: batched products that know no groups
};

// What the cost model knows of a schedule. A part of the cache may lie on disk, if the host
// attends. `prompts_first`: all prompts of a batch are computed, with attention on the device,
// before the first token is decoded; else they ride along in chunks. The last ones are of engines
// that are not ours: ours pins its memory once, attends in place and computes no more rows than
// there are.
struct ScheduleKind {
  const char* name;
  bool device;               // its layers are computed on a device
  bool moves;                // experts that are not resident move to where they are computed
  plan::Place attention_on;  // of a device's schedule
  Overlap overlap;
  bool prompts_first;
  bool by_expert = false;  // which experts the host computes for the device may be decided by cost
  Staging staging = Staging::kPinned;
  HostAttention host_attention = HostAttention::kInPlace;
  int tile_rows = 1;  // each expert's rows are computed in whole tiles of so many
};

// Those of `schedule/` under their names there (serial with a device; expert_fetch, which is
// for small batches, is not costed), and others that are costed alone: MoE-Lightning's own, two of
// FlexGen (arXiv 2303.06865), with attention on the device and on the host, and ZeRO-Inference
// (arXiv 2207.00032), which keeps the cache of one large micro-batch on the device.
std::span<const ScheduleKind> schedule_kinds();
const ScheduleKind* find_schedule(std::string_view name);  // null: there is none

}  // namespace sluice::planner
