// The flags that shape an engine, named as TensorRT-LLM, vLLM and llama.cpp users know them.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "base/error.h"
#include "engine/engine.h"
#include "engine/model_files.h"

namespace sluice::cli {

struct EngineFlags {
  engine::EngineOptions options;
  std::string kv_cache_memory, host_memory, device_memory;
  bool no_prefix_sharing = false;
  bool no_expert_use = false;
  std::string trace_path;
};

void add_engine_flags(CLI::App& command, EngineFlags& flags);

// EngineOptions out of the flags; the trace is the caller's to give.
Result<engine::EngineOptions> engine_options(const EngineFlags& flags);

// Opens `model`, to be loaded with these options.
Result<engine::OpenedModel> open_to_load(const std::string& model,
                                         const engine::EngineOptions& options, double& seconds);
// Loads it, with the share done on a terminal's standard error. Each adds to `seconds` what it
// took.
Result<std::unique_ptr<engine::Engine>> load_engine(engine::OpenedModel model,
                                                    const engine::EngineOptions& options,
                                                    double& seconds);

// "demo_model" of "examples/demo_model/".
std::string model_name(const std::string& path);

}  // namespace sluice::cli
