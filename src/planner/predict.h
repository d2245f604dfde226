// A workload under one concrete plan: the roofline's estimate, stretched as a replay through the
// real scheduler and schedule was.
#pragma once

#include <optional>

#include "planner/estimate.h"
#include "planner/replay.h"

namespace sluice::planner {

struct Prediction {
  // Its seconds, rates and joules are the prediction; its pass is the roofline's.
  Estimate estimate;
  std::optional<Replayed> replayed;  // nothing: the plan cannot be replayed
};

// `estimate` is of `plan`. Reads no clock and no file.
Prediction predict(const Subject& subject, const plan::Plan& plan, const Estimate& estimate,
                   const Workload& workload, const ReplayLimits& limits = {});

// The policy that a plan which runs here carries out.
Candidate candidate_of(const plan::Plan& plan);

}  // namespace sluice::planner
