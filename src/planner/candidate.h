// What the search walks: a policy, and what the policy leaves open.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "kernels/kv_layout.h"
#include "plan/policy.h"

namespace sluice::planner {

struct Candidate {
  plan::Policy policy;      // schedule, N, mu, A_g, F_g; r_w, r_c at the level where is computed
  double host_weights = 1;  // share of the experts in host memory, or above it; the rest on disk
  kernels::KvDType kv_dtype = kernels::KvDType::kBF16;
  std::string quant = "none";
  int64_t max_num_tokens = 0;  // rows of one micro-batch's iteration
  bool operator==(const Candidate&) const = default;

  int64_t micro_batches() const {
    return (policy.batch + policy.micro_batch - 1) / policy.micro_batch;
  }
};

// How a schedule lets its lanes overlap within a pass over all micro-batches.
enum class Overlap : uint8_t {
  kAll,           // every lane at once: T = max over lanes                         // HRM eq. 12
  kNone,          // one task at a time: the sum
  kWeightsFirst,  // a layer's weights move beside its first micro-batch alone, the cache of each
                  // other one beside that one; attention on the host waits with the device: FlexGen
};

// What the cost model knows of a schedule. `prompts_first`: all prompts of a batch are computed,
// with attention on the device, before the first token is decoded; else they ride along in chunks.
struct ScheduleKind {
  const char* name;
  bool device;               // its layers are computed on a device
  bool moves;                // experts that are not resident move to where they are computed
  plan::Place attention_on;  // of a device's schedule
  Overlap overlap;
  bool prompts_first;
};

// Those of `schedule/` under their names there (serial with a device; expert_fetch, which is
// for small batches, is not costed), and two of FlexGen (arXiv 2303.06865), with
// attention on the device and on the host, which are costed alone.
std::span<const ScheduleKind> schedule_kinds();
const ScheduleKind* find_schedule(std::string_view name);  // null: there is none

}  // namespace sluice::planner
