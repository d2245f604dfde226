// Models so small that a whole batch takes milliseconds: random weights, real architectures.
#pragma once

#include <string>

#include "base/error.h"

namespace sluice::sim {

struct TinyModel {
  const char* name;
  const char* config;  // its config.json
  const char* quant;   // as `sluice build --quant` takes it; null: left as a checkpoint, whose
                       // experts are made while it runs
  bool experts;
};

inline constexpr int kTinyVocab = 96;
inline constexpr int kTinyModels = 5;
extern const TinyModel kTinyModelTable[kTinyModels];

// Writes the model into `directory`/name, and builds it where it is to be built; the path that
// engines load. Errors: the disk's.
Result<std::string> make_tiny_model(const TinyModel& model, const std::string& directory);

}  // namespace sluice::sim
