// A GGUF file of keys and values, and of a few small tensors: what a model says of itself, without
// its weights.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "weights/checkpoint.h"

namespace sluice::weights {

// The bytes of a version 3 file with the keys of `checkpoint`, which is a GGUF file, but for those
// that tell how that file was laid out (general.alignment, split.*), and with those of the named
// tensors that it has.
std::string gguf_description(const Checkpoint& checkpoint,
                             std::span<const std::string_view> tensors);

}  // namespace sluice::weights
