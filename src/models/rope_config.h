// Rotary embeddings as config.json states them, and the frequencies that follow.
#pragma once

#include <vector>

#include "models/config.h"
#include "models/hf_config.h"

namespace sluice::models {

// Reads `rope_theta` with `rope_scaling` or `rope_parameters` (docs/add_model.md has the rules);
// kinds that no supported family ships are recorded as errors by name.
RopeConfig read_rope(HfConfig& config, double default_theta, int64_t max_positions);

// Scaled frequencies carry a model past the `max_positions` that its config names, as vLLM reckons.
int64_t scaled_positions(const RopeConfig& rope, int64_t max_positions);

// inv_freq [head_dim / 2] as transformers computes it, in f32. `length` matters to the dynamic kind
// alone: max(prompt length, position + 1).
void rope_frequencies(const RopeConfig& rope, int head_dim, int64_t length, float* inv_freq);

// Whether positions of this sequence have frequencies of their own: dynamic scaling past the
// trained length.
bool rope_depends_on_length(const RopeConfig& rope, int64_t length);

}  // namespace sluice::models
