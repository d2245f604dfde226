// Rotary embeddings as a GGUF file states them.
#pragma once

#include "models/config.h"
#include "models/gguf_config.h"

namespace sluice::models {

// Reads the keys `rope.*` and the tensor rope_freqs.weight, which holds what llama3 scaling divides
// each frequency by. Kinds of scaling that sluice does not know are recorded as errors by name.
RopeConfig read_gguf_rope(GgufConfig& config, int64_t head_dim, int64_t max_positions);

}  // namespace sluice::models
