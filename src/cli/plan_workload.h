// The workload of a plan: lengths as numbers or distributions, a published one, or a batch file.
#pragma once

#include <optional>

#include "cli/plan_question.h"
#include "engine/model_files.h"

namespace sluice::cli {

void add_workload_flags(CLI::App& command, PlanFlags& flags);
// `here`: the model, if it is: its tokenizer counts.
Result<planner::Workload> workload_from(const PlanFlags& flags,
                                        const std::optional<engine::OpenModel>& here);

}  // namespace sluice::cli
