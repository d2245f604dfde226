// How a model's authors would draw its tokens: generation_config.json, as transformers reads it, or
// the keys general.sampling.* of a GGUF file.
#pragma once

#include <string>

#include "base/error.h"
#include "engine/request.h"

namespace sluice::cli {

// Without the file or the keys, or where they do not ask to sample, the likeliest token is taken.
// Errors name the field.
Result<engine::SamplingParams> model_sampling(const std::string& model);

}  // namespace sluice::cli
