// A GGUF file's metadata as a model's config.
#pragma once

#include "models/family.h"
#include "models/gguf_config.h"
#include "weights/checkpoint.h"

namespace sluice::models {

// Reads what the file says of its model; `checkpoint` must be one (Checkpoint::gguf()). Some of it
// is said by tensors that are there or not: a head, biases, experts, divisors of rotary
// frequencies. Errors name the key or tensor, not the file: an architecture that is not known, a
// key that is missing, out of range, or not known and may change the result. `elsewhere`: of a file
// of keys, the tensors that stood in it with them.
Result<FamilyModel> read_gguf_model(const weights::Checkpoint& checkpoint,
                                    const GgufShapes& elsewhere = {});

}  // namespace sluice::models
