// A model's table of tensors against what a checkpoint holds.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "models/family.h"
#include "weights/checkpoint.h"

namespace sluice::models {

// What a checkpoint calls its tensors: what the family does, with each expert in a tensor of its
// own as on the hub; with all of them stacked; what GGUF files do.
enum class Naming : uint8_t { kFamily, kStacked, kGguf };
const char* name(Naming naming);  // "family", "stacked", "gguf": as manifests write it
std::optional<Naming> parse_naming(std::string_view name);
const TensorNames& names_of(Naming naming, const Family& family);

Naming naming_in(const weights::Checkpoint& checkpoint, const ModelConfig& config);
const TensorNames& names_in(const weights::Checkpoint& checkpoint, const ModelConfig& config,
                            const Family& family);

// Errors: tensors missing, unexpected, of another shape or of a type that sluice does not read, by
// name; a tied head that differs from the embedding.
Status check_tensors(const ModelConfig& config, const std::vector<TensorSlot>& table,
                     const weights::Checkpoint& checkpoint);

}  // namespace sluice::models
