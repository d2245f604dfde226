// A cheap identity of a model's files.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "weights/checkpoint.h"

namespace sluice::weights {

// How much of each file of weights is looked at, spread evenly from its first byte to its last.
constexpr int kFingerprintSamples = 64;
constexpr int64_t kFingerprintSampleBytes = 4096;
// Of each description; a larger one counts by its size and its first bytes.
constexpr int64_t kMaxFingerprintTextBytes = int64_t{64} << 20;

// Sixteen hexadecimal digits that are the same for the same model wherever it lies and whatever its
// files' dates, and differ, but for accidents of one in 2^64, when a tensor's name, type, shape or
// place, one of the samples of the data, or one of the descriptions differs: of a GGUF file its
// keys and values, else what lies beside the weights (config, generation config, tokenizer and its
// config, chat template). It tells models apart; it does not vouch for their bytes.
Result<std::string> fingerprint(const Checkpoint& checkpoint);

}  // namespace sluice::weights
