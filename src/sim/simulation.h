// One seed: a whole batch, through faults, kills and resumes, to its end.
#pragma once

#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "sim/scenario.h"

namespace sluice::sim {

// What all seeds use: made once, then only read.
struct Stage {
  std::vector<ModelPool> pools;
  Machines machines;
};
// In a folder "stage" below a directory, made anew. Errors: the disk's.
Result<Stage> make_stage(const std::string& below);

struct SeedResult {
  uint64_t seed = 0;
  uint64_t hash = 0;      // of its events: the same whenever it is run
  std::string violation;  // empty: everything held
  Counts counts;
  std::map<std::string, int64_t> schedules;  // runs of the process by schedule
};

// Runs it in `directory`, which is its own meanwhile. `events` may be null: where each event goes.
SeedResult run_seed(const Stage& stage, uint64_t seed, const std::string& directory,
                    std::FILE* events = nullptr, Mutation mutation = Mutation::kNone);

}  // namespace sluice::sim
