// What a seed draws: a model, a batch of lines, and the runs of the process that answer it, each
// with its flags and its troubles.
#pragma once

#include <string>
#include <vector>

#include "batch/output.h"
#include "engine/engine.h"
#include "sim/request_pool.h"
#include "sim/virtual_device.h"
#include "sim/virtual_disk.h"
#include "sim/virtual_executor.h"
#include "sim/virtual_files.h"

namespace sluice::sim {

// One run of the process, from its start to its end or its death.
struct Life {
  engine::EngineOptions engine;  // without its environment and faults
  std::string machine;           // for people: "cgopipe on slow-link, 8 by 2, ..."
  LanePace lanes;
  DiskTrouble disk;
  DeviceTrouble device;
  FileTrouble files;
  int64_t kill_in_events = 0;  // 0: it is not killed
  bool power_lost = false;     // with its end
  int64_t stop_in_steps = 0;   // 0: nobody interrupts it
  bool stop_now = false;
};

// Runs with troubles, before one without any ends the batch.
inline constexpr int kMostTroubledLives = 5;

struct Scenario {
  const ModelPool* pool = nullptr;
  std::vector<const PoolLine*> lines;
  batch::SyncInterval sync;
  int troubled_lives = 0;
};

// The emulated machines, written as hardware.json files below a directory.
struct Machines {
  std::vector<std::string> names, files;
};
Result<Machines> make_machines(const std::string& directory);

Scenario draw_scenario(Random& random, const std::vector<ModelPool>& pools);

// Any flags that this model takes: answers do not depend on them. `troubled`: something may go
// wrong.
Life draw_life(Random& random, const ModelPool& pool, const Machines& machines, bool troubled);

}  // namespace sluice::sim
