// What an engine directory keeps of the model it is built from, beside the weights.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "engine/model_files.h"
#include "weights/engine_writer.h"

namespace sluice::engine {

// Of one description: a tokenizer.json is the largest.
constexpr int64_t kMaxBesideBytes = int64_t{256} << 20;

// Of a Hugging Face directory its descriptions as they are; of a GGUF file one of its keys
// (weights::kEngineGgufFile). Errors: one that cannot be read or is too large.
Result<std::vector<weights::BesideText>> beside_of(const std::string& path,
                                                   const OpenModel& opened);

// The manifest of a directory built from `opened`, as `path` names it, without what it holds.
// `beside` as above. Errors: a config.json that is none.
Result<weights::EngineManifest> manifest_of(const std::string& path, const OpenModel& opened,
                                            const std::vector<weights::BesideText>& beside);

}  // namespace sluice::engine
