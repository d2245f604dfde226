// A model as a plan sees it: its shape, what its weights take, how its routers chose so far.
#pragma once

#include <optional>
#include <string>

#include "engine/model_files.h"
#include "planner/planner.h"

namespace sluice::cli {

// Fills the question's model: a published one by name, the shape in a config.json, or a model that
// is here, whose weights are counted as loading them would, and which comes back open. Where those
// are missing or cannot be run, its config.json says what it costs; a damaged model is refused.
Result<std::optional<engine::OpenModel>> read_plan_model(const std::string& path,
                                                         planner::Question& question);

// The same of a model whose weights are open, quantized as they will be loaded.
void take_model(const models::ModelConfig& config, const models::WeightSource& source,
                planner::Question& question);

// What earlier runs counted of a model with this fingerprint, by layer (planner::RoutingSkew);
// empty if they counted nothing.
std::vector<std::vector<double>> measured_routing(const models::ModelConfig& config,
                                                  const std::string& fingerprint);

}  // namespace sluice::cli
