// What an engine has done so far, measured; the closing report and the progress bar read it.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "models/stage.h"
#include "schedule/task.h"

namespace sluice::engine {

struct StageStats {
  int64_t tasks = 0;
  double busy_seconds = 0;  // running, not waiting
  models::Cost cost;        // as the stages state it
};

// A lane's time since the first iteration was begun: all of it, in these parts.
struct LaneStats {
  bool present = false;     // it has worked
  double busy_seconds = 0;  // planned work under way: not waiting, nothing done again after a fault
  double start_seconds = 0;                               // before its first work
  double end_seconds = 0;                                 // since its last
  std::array<double, schedule::kLanes> waited_seconds{};  // in between, by who worked meanwhile: of
                                                          // several the first Lane, so who computes
  double idle_seconds = 0;                                // in between, when no lane worked
  double guess_seconds = 0;  // of all but the busy ones: nothing but guesses was under way
};

// Of the guesses which experts the next layer's router will choose.
struct GuessStats {
  int64_t experts = 0;        // guessed, wherever they lay
  int64_t right = 0;          // of these, that were then chosen
  int64_t pages = 0;          // read from the disk for a guess
  int64_t useless_pages = 0;  // of these, that were not needed
  int64_t useless_bytes = 0;
  // LaneStats::guess_seconds of the disk, but for the useless ones' share of the bytes.
  double useful_seconds = 0;
};

// The disk lane; all 0 when weights and cache are in memory. What was read for wrong guesses counts
// in `guesses` alone.
struct DiskStats {
  int64_t pages = 0;                // of experts read
  int64_t bytes = 0;                // of these
  int64_t rows = 0, row_bytes = 0;  // of the token embedding read, and of these reads
  int64_t kv_read_bytes = 0, kv_written_bytes = 0;  // of a cache whose home is the disk
  int64_t retries = 0;                              // reads and writes done again after a fault
  int64_t resident_pages = 0, all_pages = 0;        // now
  bool made =
      false;  // pages are made from a checkpoint's tensors; an engine directory has them ready
  GuessStats guesses;

  bool works() const { return all_pages > 0 || kv_read_bytes + kv_written_bytes > 0; }
  int64_t all_bytes() const { return bytes + row_bytes + kv_read_bytes + kv_written_bytes; }
};

// A lane of an emulated machine: the time that it plays, and the real work in it.
struct PacedLane {
  double busy_seconds = 0;     // of slots: what the lane would have taken there
  double work_seconds = 0;     // of real work in them
  int64_t crowded = 0;         // slots of which real work took more than half
  double crowded_seconds = 0;  // the work in these
  int64_t bytes = 0;           // of links: moved
};

struct DeviceStats {
  bool present = false;
  std::array<StageStats, models::kStageKinds> stages{};  // that ran on the device, by StageKind
  PacedLane compute, host, to_device, to_host;
  int64_t resident_pages = 0, all_pages = 0;  // of experts, now
};

struct EngineStats {
  int64_t requests_finished = 0;
  int64_t requests_failed = 0;       // of these, with an error
  int64_t prompt_tokens = 0;         // of admitted requests
  int64_t cached_prompt_tokens = 0;  // of these, taken from the prefix cache
  int64_t computed_tokens = 0;       // rows run, recomputation after a preemption included
  int64_t generated_tokens = 0;
  int64_t preemptions = 0;
  int64_t moved = 0;                          // sequences, to another micro-batch
  int64_t iterations = 0;                     // of micro-batches
  int64_t failed_iterations = 0;              // that a fault ended; computed again
  int64_t sequence_slots = 0;                 // sum over iterations of the micro-batch's slots
  int64_t sequence_slots_used = 0;            // of these, occupied: occupancy is used / slots
  int64_t kv_blocks = 0, kv_blocks_used = 0;  // now; cached but unreferenced blocks count as free
  std::array<StageStats, models::kStageKinds> stages{};  // by StageKind
  std::array<LaneStats, schedule::kLanes> lanes{};       // by Lane
  DiskStats disk;
  DeviceStats device;
  std::vector<std::vector<int64_t>>
      expert_tokens;  // [layer][expert], (token, expert) pairs; empty for dense layers

  const LaneStats& lane(schedule::Lane which) const { return lanes[static_cast<size_t>(which)]; }
};

}  // namespace sluice::engine
