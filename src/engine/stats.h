// What an engine has done so far, measured; the closing report and the progress bar read it.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "models/stage.h"

namespace sluice::engine {

struct StageStats {
  int64_t tasks = 0;
  double busy_seconds = 0;  // running, not waiting
  models::Cost cost;        // as the stages state it
};

struct EngineStats {
  int64_t requests_finished = 0;
  int64_t prompt_tokens = 0;         // of admitted requests
  int64_t cached_prompt_tokens = 0;  // of these, taken from the prefix cache
  int64_t computed_tokens = 0;       // rows run, recomputation after a preemption included
  int64_t generated_tokens = 0;
  int64_t preemptions = 0;
  int64_t iterations = 0;                     // of micro-batches
  int64_t sequence_slots = 0;                 // sum over iterations of the micro-batch's slots
  int64_t sequence_slots_used = 0;            // of these, occupied: occupancy is used / slots
  int64_t kv_blocks = 0, kv_blocks_used = 0;  // now; cached but unreferenced blocks count as free
  double busy_seconds = 0;                    // inside step(), compute lane running
  std::array<StageStats, 11> stages{};        // by StageKind
  std::vector<std::vector<int64_t>>
      expert_tokens;  // [layer][expert], (token, expert) pairs; empty for dense layers
};

}  // namespace sluice::engine
