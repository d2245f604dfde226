// A family of architectures: how its config.json reads and what its tensors are called. One file
// per family, one line in registry.cc.
#pragma once

#include <span>
#include <string_view>

#include "base/json.h"
#include "models/config.h"
#include "models/tensors.h"

namespace sluice::models {

struct Family {
  std::string_view name;          // "mixtral"
  std::string_view architecture;  // config.json's `architectures`: "MixtralForCausalLM"
  Result<ModelConfig> (*read)(const Json& config);
  const TensorNames& (*names)();
  bool interleaved_rotary = false;  // of GGUF files: see TensorSlot::rotary_heads
};

extern const Family kLlama;
extern const Family kMixtral;
extern const Family kQwen3Moe;
extern const Family kOlmoe;

std::span<const Family* const> families();

struct FamilyModel {
  const Family* family = nullptr;
  ModelConfig config;
};

// The family that `architectures` (or, without it, `model_type`) of a config names; an unknown one
// is refused with the list of those that are known.
Result<const Family*> find_family(const Json& config);

// find_family, then its read().
Result<ModelConfig> read_config(const Json& config);

}  // namespace sluice::models
