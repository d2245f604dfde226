// What `sluice batch` and `run` choose by themselves, where neither a plan nor a flag does.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "batch/input.h"
#include "engine/engine.h"
#include "engine/model_files.h"
#include "planner/workload.h"

namespace sluice::cli {

struct AutoPlanRequest {
  const engine::OpenedModel* model = nullptr;  // outlives the request
  const CLI::App* command = nullptr;           // whose flags were given; outlives the request
  planner::Workload workload;
  bool all_lengths = false;  // no request is longer than the workload's
  bool latency = false;      // one after the other, each token as soon as can be
};

// Sets the schedule, batch, micro-batch and iteration size that `options` leaves open, and of a
// model that is larger than memory the cache's size, to the planner's choice for this machine as it
// was measured. What is chosen fits, is predicted to be faster than what runs without it, and gives
// the same tokens. Otherwise, and where placement was given by hand, `options` stay as they are.
// Returns a sentence for standard error: what was chosen and what binds it, or why nothing was;
// empty if there is nothing to choose.
std::string choose_policy(const AutoPlanRequest& request, engine::EngineOptions& options);

// The same for a batch's input: for what its lines ask for, of a large one a sample.
std::string choose_batch_policy(const engine::OpenedModel& model, const CLI::App& command,
                                const batch::Input& input, int64_t default_max_tokens,
                                engine::EngineOptions& options);

}  // namespace sluice::cli
