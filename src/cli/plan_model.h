// A model as a plan sees it: its shape, what its weights take, how its routers chose so far.
#pragma once

#include <string>

#include "planner/planner.h"

namespace sluice::cli {

// Fills the question's model: a published one by name, the shape in a config.json, or a model that
// is here, whose weights are counted as loading them with `quant` would. Where those are missing or
// cannot be run, its config.json says what it costs; a damaged model is refused.
Status read_plan_model(const std::string& path, const std::string& quant,
                       planner::Question& question);

// What earlier runs counted of a model that is here, by layer (planner::RoutingSkew); empty if they
// counted nothing.
std::vector<std::vector<double>> measured_routing(const std::string& path);

}  // namespace sluice::cli
