// A model's table of tensors against what a checkpoint holds.
#pragma once

#include <vector>

#include "models/family.h"
#include "weights/checkpoint.h"

namespace sluice::models {

// What this checkpoint calls its tensors: GGUF's names, or the family's, with each expert in a
// tensor of its own as on the hub, or all stacked.
const TensorNames& names_in(const weights::Checkpoint& checkpoint, const ModelConfig& config,
                            const Family& family);

// Errors: tensors missing, unexpected, of another shape or of a type that sluice does not read, by
// name; a tied head that differs from the embedding.
Status check_tensors(const ModelConfig& config, const std::vector<TensorSlot>& table,
                     const weights::Checkpoint& checkpoint);

}  // namespace sluice::models
