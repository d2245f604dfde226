// What a run has learned of how often a model's experts are chosen, kept for the next one: a file
// in the user's cache, never beside the model.
#pragma once

#include <string>

#include "base/error.h"
#include "memory/expert_use.h"

namespace sluice::engine {

// Where the use of the model with that fingerprint is kept in `directory`.
std::string expert_use_path(const std::string& directory, const std::string& fingerprint);

// Errors: kNotFound without a file; kInvalid for one that is none, or of another model.
Status read_expert_use(const std::string& path, memory::ExpertUse& use);
Status write_expert_use(const std::string& path, const memory::ExpertUse& use);

}  // namespace sluice::engine
