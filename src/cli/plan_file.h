// Running what `sluice plan` wrote: exactly that, or a refusal that says why.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "engine/engine.h"
#include "plan/plan.h"

namespace sluice::cli {

// Reads plan.json at `path` into `options`. kInvalid if a flag of `command` says what the plan says
// too, or if the plan is one that this program cannot run; else what reading it says.
Result<plan::Plan> apply_plan(const std::string& path, const CLI::App& command,
                              engine::EngineOptions& options);

// Whether what was reserved here holds what was planned: kNoRoom with both.
Status holds(const plan::Plan& planned, const plan::Plan& here);

}  // namespace sluice::cli
