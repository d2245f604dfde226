// The hierarchical roofline model (MoE-Lightning, arXiv 2411.11217, section 3): what one pass over
// all micro-batches takes of each lane. Pure functions of values; every cost is a stage's own
// statement (models/stage.h), every time that statement against a lane's rates
// (schedule/cost_model.h).
#pragma once

#include <array>
#include <vector>

#include "planner/candidate.h"
#include "planner/machine.h"
#include "planner/weights.h"

namespace sluice::planner {

using LaneSeconds = std::array<double, schedule::kLanes>;

// What is planned for; borrowed.
struct Subject {
  const models::ModelConfig& model;
  const Machine& machine;
  const Layers& layers;
  const WeightSizes& weights;
};

// Rows of one micro-batch's iteration.
struct Rows {
  double decode = 0;            // rows of sequences that are past their prompt
  double decode_context = 0;    // keys that each of them attends to
  double prompt = 0;            // rows of prompts,
  double prompt_sequences = 0;  // of so many sequences,
  double prompt_context = 0;    // each attending to so many keys on average; their sequences hold
                                // twice that at the end of a chunk
  double total() const { return decode + prompt; }
};

// A kind of work on a lane, summed over layers and micro-batches of the pass.
struct WorkTime {
  const char* what = "";  // a stage's name, or "weights", "embedding", "kv", "hidden", "logits",
                          // "staging"
  schedule::Lane lane = schedule::Lane::kHostCompute;
  double seconds = 0;
  models::Cost cost;  // of all of it
};

struct Pass {
  double seconds = 0;  // as the schedule lets lanes overlap
  LaneSeconds lanes{};
  // Of them, what host and disk take: no less, whatever else is taken from the device.
  double floor_seconds = 0;
  // Of each layer's experts, in order of use, the last share: the host computes them for the
  // device.
  double host_experts = 0;
  schedule::Lane bound = schedule::Lane::kHostCompute;  // the busiest
  std::vector<WorkTime> work;                           // only if asked for
};

// Of experts that are computed where each is sooner (plan::Place::kAuto) the host has the share, of
// these many steps from none to all, with which a pass takes least. Which shares there are depends
// on nothing, so that more of a resource makes no pass longer; a schedule, which chooses expert by
// expert behind the router, comes close to the best of them (schedule/expert_place.h).
constexpr int kHostShares = 16;

// One iteration of each of the candidate's micro-batches, all with these rows. `prompts_alone`: a
// pass of a schedule that computes prompts first, with attention on the device.
Pass pass_of(const Subject& subject, const Candidate& candidate, const Rows& rows,
             bool prompts_alone = false, bool with_work = false);

// The turning points of a kind of work whose data lies on `from` and that could be computed on
// `to`, in FLOP per byte at `from`.
struct TurningPoints {
  double stay = 0;  // P1, eq. 9: below it, computing where the data lies is faster than moving it
  double link = 0;  // P2, eq. 10: below it, the link binds; above it, `to` does
};
TurningPoints turning_points(const schedule::Rates& at_from, const schedule::Rates& at_to,
                             double link_bytes_per_second, double intensity_at_from,
                             double intensity_at_to);

}  // namespace sluice::planner
