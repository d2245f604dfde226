// The fields of config.json that describe routed experts, shared by the MoE families.
#pragma once

#include <initializer_list>

#include "models/config.h"
#include "models/family.h"
#include "models/hf_config.h"

namespace sluice::models {

// Experts, top-k and expert width. `expert_keys` are the names a family gives the number of
// experts; they must agree. Fields of the training loss are marked as read.
FfnConfig read_experts(HfConfig& config, std::initializer_list<const char*> expert_keys,
                       const char* inter_key);

// Experts called mlp.experts.E.gate_proj and so on, the router mlp.gate.
const TensorNames& mlp_expert_names();

}  // namespace sluice::models
