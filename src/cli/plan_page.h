// A plan in a few lines, and explained on one page of a terminal.
#pragma once

#include <string>
#include <vector>

#include "planner/planner.h"

namespace sluice::cli {

// What was chosen, what lives where, what binds, and what would help most.
std::string plan_summary(const planner::Question& question, const planner::Answer& answer,
                         const std::vector<planner::WhatIf>& what_ifs);

// That, each lane's time and what it does, one iteration as a timeline, the turning points,
// what-ifs.
std::string plan_page(const planner::Question& question, const planner::Answer& answer,
                      const std::vector<planner::WhatIf>& what_ifs, int columns);

// One iteration of every micro-batch as lanes over time, out of a replay's tasks: `width` cells a
// lane, each showing the kind of task that fills most of it.
std::string plan_timeline(const planner::Answer& answer, int width);

}  // namespace sluice::cli
