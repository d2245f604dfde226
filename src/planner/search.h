// The search over policies: every candidate of a fixed grid that has room is costed by the roofline
// model (estimate.h), and the best of each kind of policy come back, best first, for a closer look.
// Deterministic; reads no clock and no file. More of a resource adds candidates and makes none
// slower.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "planner/estimate.h"
#include "planner/footprint.h"

namespace sluice::planner {

// Sets what the machine's room decides of a candidate (footprint.h: settle), or says that there is
// none.
using Settle = std::function<std::optional<Shortage>(const Subject&, const Workload&, Candidate&)>;

struct SearchOptions {
  Objective objective = Objective::kThroughput;
  double deadline_seconds = 0;         // per token of a sequence; 0: none
  std::vector<std::string> schedules;  // empty: all that the machine has levels for
  std::string quant = "none";
  std::vector<kernels::KvDType> kv_dtypes = {kernels::KvDType::kBF16};
  // With a device, that may be chosen; of equals the first.
  std::vector<plan::Place> experts_on = {plan::Place::kDevice, plan::Place::kHost,
                                         plan::Place::kAuto};
  int64_t batch = 0;  // 0: searched, like the next two
  int64_t micro_batch = 0;
  int64_t max_num_tokens = 0;
  double most_resident_weights = 1;   // share of the experts where they are computed
  bool kv_on_disk = false;            // whether a part of the cache may lie there
  std::optional<double> resident_kv;  // where that or a device may be; none: searched
  int64_t most_sequences = 16384;
  size_t finalists = 4;
  // One that is costed whatever the grid, if it is among those asked for and has room.
  std::optional<Candidate> first;
  // Of the sizes of micro-batches and their counts every so manieth, then all around the best of
  // each kind: for who asks often, and for no more than how fast it can be.
  int stride = 1;
  Settle settle;  // empty: footprint.h's
};

struct Choice {
  Candidate candidate;
  Estimate estimate;
};

struct Search {
  std::vector<Choice> finalists;  // best first; empty if nothing has room
  int64_t costed = 0;             // candidates
  int64_t without_room = 0;
  std::optional<Shortage> nearest;  // what the one that came nearest lacks, if none has room
};

Search search(const Subject& subject, const Workload& workload, const SearchOptions& options);

}  // namespace sluice::planner
