// What Engine::load() asks of plan::fit_plan(), for whoever wants to know its plan without loading.
#pragma once

#include <filesystem>

#include "engine/engine.h"
#include "plan/fit.h"

namespace sluice::engine {

plan::FitWishes wishes_of(const EngineOptions& options);

// Where a cache on disk lies, of the model at this path.
std::filesystem::path kv_directory(const EngineOptions& options, const std::string& model);

// This machine as it is now, beside a device of so many bytes (0: none), with a disk in this
// directory.
plan::FitMachine fit_machine(int64_t device_memory, const std::filesystem::path& kv_directory);

}  // namespace sluice::engine
