// What a config.json says of a model's shape: enough for its costs and plans, also where sluice
// cannot run it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "models/config.h"

namespace sluice::models {

// Of an architecture that runs, what its family reads. Of any other, sizes by the names that config
// files commonly use; a size that is needed and missing is kInvalid, by name. Fields that change
// results and no cost are not looked at: such a config is for plans alone.
Result<ModelConfig> read_shape(const Json& config);

// Shapes of published models, by the names that `plan --model` knows.
struct KnownShape {
  const char* name;    // "deepseek-v3"
  const char* source;  // where its config.json is published
  const char* config;  // of that file, the sizes
};
std::span<const KnownShape> known_shapes();

// One of them; kInvalid names those there are.
Result<ModelConfig> known_shape(std::string_view name);

}  // namespace sluice::models
