// What a file that is cut short, damaged or hostile is refused with.
#pragma once

#include <string>

#include "base/error.h"

namespace sluice::weights {

struct TensorEntry;

// kCorrupt, with the sentence for the user.
Error corrupt(std::string message);

// kCorrupt: "tensor 'name' " + why.
Error corrupt(const TensorEntry& entry, const std::string& why);

}  // namespace sluice::weights
