// The workload of a plan: lengths as numbers or distributions, a published one, or a batch file.
#pragma once

#include "cli/plan_question.h"

namespace sluice::cli {

void add_workload_flags(CLI::App& command, PlanFlags& flags);
Result<planner::Workload> workload_from(const PlanFlags& flags);

}  // namespace sluice::cli
