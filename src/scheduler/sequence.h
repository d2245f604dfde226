// What the scheduler knows about one sequence.
#pragma once

#include <cstdint>
#include <vector>

#include "memory/kv_blocks.h"
#include "scheduler/micro_batch.h"

namespace sluice::scheduler {

enum class SequenceState : uint8_t { kFree, kQueued, kRunning };

struct Sequence {
  SequenceId id = 0;
  SequenceState state = SequenceState::kFree;
  uint64_t arrival = 0;  // its age: the youngest has the highest
  uint64_t salt = 0;
  int64_t prompt_tokens = 0;
  int64_t max_new_tokens = 0;
  bool all_prompt_logits = false;
  bool was_set_back = false;
  bool cancelled = false;       // while its micro-batch is out
  std::vector<int32_t> tokens;  // the prompt, then what was sampled; reserved to its full length

  // While running.
  int group = -1;                      // its micro-batch
  bool placed = false;                 // in the iteration that is out, or being formed
  int64_t computed = 0;                // positions whose keys and values are in the cache
  int64_t published_blocks = 0;        // leading blocks of the table that are in the tree
  int64_t reserved = 0;                // blocks counted for it at admission
  int64_t computed_when_moved = -1;    // from another micro-batch; -1: never
  std::vector<memory::BlockId> table;  // blocks held; moved here from the free tables

  int64_t prompt_logits_done = 0;  // prompt positions whose logits were delivered

  // While held back: until that record, if it is still that sequence, has computed so much.
  int32_t awaited_record = -1;
  SequenceId awaited_id = 0;
  int64_t awaited_tokens = 0;
  int64_t held_until_iteration = -1;  // -1: not held back yet

  int64_t length() const { return static_cast<int64_t>(tokens.size()); }
  int64_t generated() const { return length() - prompt_tokens; }
  int64_t uncomputed() const { return length() - computed; }
  // The last sampled token is never computed.
  int64_t full_length() const {
    return prompt_tokens + (max_new_tokens > 0 ? max_new_tokens - 1 : 0);
  }
};

}  // namespace sluice::scheduler
