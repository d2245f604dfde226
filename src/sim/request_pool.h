// Lines of a batch, and the answer that each must get, however it is run: what a plain engine says
// that runs them one by one, all in memory, with real lanes and nothing that goes wrong.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "sim/tiny_model.h"

namespace sluice::sim {

inline constexpr int kPoolLines = 96;
inline constexpr int64_t kMaxSeqLen = 128;

struct PoolLine {
  std::string custom_id;
  std::string text;    // of the input
  std::string answer;  // comparable(): see below
  bool error = false;  // it gets an error line
};

struct ModelPool {
  const TinyModel* model = nullptr;
  std::string path;                   // that engines load
  int64_t kv_bytes_per_sequence = 0;  // of kMaxSeqLen
  std::vector<PoolLine> lines;
};

// Makes the model and its lines below `directory`. The same whenever it is made.
Result<ModelPool> make_pool(const TinyModel& model, const std::string& directory);

// A line of an output without what may differ between two runs: how many tokens of its prompt were
// found in the cache, and the number of its line.
std::string comparable(const std::string& answer);

// The custom_id of an output's line; empty if it is none.
std::string custom_id_of(const std::string& answer);

// What each run of a batch needs beside its engine: the settings are always the same.
inline constexpr const char* kModelName = "tiny";

}  // namespace sluice::sim
