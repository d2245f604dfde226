// Many seeds, on as many threads as one likes, and what they went through together.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "sim/simulation.h"

namespace sluice::sim {

struct CampaignOptions {
  uint64_t first = 0;
  int64_t seeds = 0;
  int threads = 1;
  int64_t most_failures = 10;  // then it stops
  std::string directory;       // for its files
  Mutation mutation = Mutation::kNone;
  const std::atomic<int>* stop_requested = nullptr;           // above 0: no further seed begins
  std::function<void(uint64_t seed)> on_begin;                // on the thread that runs it
  std::function<void(int64_t done, int64_t failed)> on_done;  // one at a time
};

struct CampaignResult {
  int64_t done = 0;
  double seconds = 0;
  std::vector<SeedResult> failures;  // by seed
  Counts counts;
  std::map<std::string, int64_t> schedules;
  uint64_t hash = 0;  // of all hashes, in whatever order they ended
};

// Errors: those of the disk below `directory`.
Result<CampaignResult> run_campaign(const CampaignOptions& options);

// Which of what should have happened has not: a schedule that was never run, a fault that never
// came. Empty if everything has.
std::vector<std::string> unexercised(const CampaignResult& result);

// For people, several lines.
std::string summary(const CampaignResult& result);

}  // namespace sluice::sim
