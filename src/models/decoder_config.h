// The part of config.json that all decoder families share, read in one place.
#pragma once

#include "models/config.h"
#include "models/hf_config.h"

namespace sluice::models {

// What a family says of the shared fields when config.json is silent (docs/add_model.md).
struct DecoderDefaults {
  double norm_eps = 0;
  double rope_theta = 0;
  int64_t max_positions = 0;
  int64_t kv_heads = 0;  // 0: as many as query heads
};

// Reads sizes, attention shape, rope, norm, tying and token ids; every layer gets the attention and
// an empty FFN. Fields that act in training only are marked as read.
ModelConfig read_decoder(HfConfig& config, const char* family, const DecoderDefaults& defaults);

// A window shorter than the model's positions would change what later tokens see: sluice then runs
// the model up to the window's length, where the window changes nothing.
void read_sliding_window(HfConfig& config, bool in_use, ModelConfig& model);

}  // namespace sluice::models
