// Makes an engine directory of a model: docs/engine_directory.md.
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "base/error.h"

namespace sluice::engine {

struct BuildState {
  int64_t bytes = 0;  // of all groups
  int64_t done = 0;   // of those that are written
  int64_t found = 0;  // of done, by an earlier run
  double seconds = 0;
};

struct BuildOptions {
  std::string quant = "none";
  int threads = 0;      // 0: the cores this process may use
  std::string program;  // what the manifest says it was written by: "sluice 0.1.0"
  std::function<void(const BuildState&)> on_progress;  // after each group
  const std::atomic<int>* stop_requested = nullptr;    // above 0: stops after the group at hand
};

struct BuildResult {
  BuildState state;
  bool stopped = false;     // the same call goes on
  std::string fingerprint;  // that an engine will have of it
  int64_t tensors = 0, pages = 0, files = 0;
  int64_t directory_bytes = 0;  // of the files of weights
  int64_t buffer_bytes = 0;     // of the one group that is in memory at a time
};

// Writes `out` from `model`, a Hugging Face directory or a GGUF file: under the name OUT.partial
// until it is whole. Where an earlier run was killed, goes on. Holds one group in memory. Errors:
// those of open_model() and open_weights(); an OUT that exists, or an OUT.partial of something
// else; kNoRoom: before anything is written when the disk is too small, or when it became full.
Result<BuildResult> build_engine(const std::string& model, const std::string& out,
                                 const BuildOptions& options);

}  // namespace sluice::engine
