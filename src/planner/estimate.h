// How long a whole workload takes under a candidate, and what it costs: passes (hrm.h) summed over
// the phases of the job.
#pragma once

#include <limits>

#include "planner/hrm.h"
#include "planner/workload.h"

namespace sluice::planner {

// What the search minimizes.
enum class Objective : uint8_t { kThroughput, kLatency, kEnergy };
const char* name(Objective objective);  // "throughput", "latency", "energy"

struct Estimate {
  double seconds = 0;            // of the whole workload
  double floor_seconds = 0;      // of them, what host and disk take (Pass)
  double prefill_seconds = 0;    // of these, until the last prompt of a batch is computed; 0 where
                                 // prompts ride along with decoding
  double tokens_per_second = 0;  // generated tokens over all of the time
  double seconds_per_token = 0;  // of one sequence, between two of its tokens
  double joules_per_token = 0;   // 0: the machine states no watts
  LaneSeconds busy{};            // of the whole workload
  schedule::Lane bound = schedule::Lane::kHostCompute;  // the busiest lane
  Pass pass;  // of an iteration in the middle of the job, of all micro-batches
};

// `with_work`: the pass states its work, for reports. What takes more than `most_seconds` is of no
// interest: once a part of it does, the rest is left out of all sums.
Estimate estimate(const Subject& subject, const Candidate& candidate, const Workload& workload,
                  bool with_work = false,
                  double most_seconds = std::numeric_limits<double>::infinity());

// Smaller is better: seconds per generated token, seconds per token of a sequence, joules per
// token.
double score(const Estimate& estimate, Objective objective);

// Smaller is better, with a deadline for seconds_per_token (0: none): whatever misses it comes
// after all that meet it, the nearest first. With a deadline, latency asks for the best throughput
// that keeps it.
double rank(const Estimate& estimate, Objective objective, double deadline_seconds);

}  // namespace sluice::planner
