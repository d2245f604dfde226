// The shapes of published models, by name: what their config.json says.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace sluice::bench {

// What is taken from the geometry, and what is changed.
struct GeometryCut {
  int layers = 0;   // the first so many; 0: all
  int vocab = 0;    // 0: the model's own
  int experts = 0;  // 0: the model's own; at least as many as a token chooses
};

std::vector<std::string> geometry_names();

// The config.json of that model, cut. Errors: an unknown name (with those that are known), more
// layers, experts or tokens than the model has.
Result<Json> geometry_config(std::string_view name, const GeometryCut& cut,
                             std::string_view torch_dtype);

}  // namespace sluice::bench
