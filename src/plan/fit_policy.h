// The part of fit_plan() that chooses the schedule and what is computed where, or says why what was
// asked for cannot be.
#pragma once

#include "plan/fit.h"

namespace sluice::plan {

// Whether experts may stay on disk with this schedule; "auto" becomes one that can.
bool reads_experts(const std::string& schedule);

// Fills the policy's schedule (with "auto" and no device still the first choice: fit_plan() knows
// what fits) and places. kInvalid for wishes that contradict each other, the model or the machine.
Status choose_places(const FitModel& model, const FitWishes& wishes, const FitMachine& machine,
                     Policy& policy);

// Whether the embedding may lie where it was asked to, as far as the schedule does not decide.
Status check_embedding(const FitModel& model, const FitWishes& wishes, const FitMachine& machine);

}  // namespace sluice::plan
