// What Engine::load() asks of plan::fit_plan(), for whoever wants to know its plan without loading.
#pragma once

#include "engine/engine.h"
#include "plan/fit.h"

namespace sluice::engine {

plan::FitWishes wishes_of(const EngineOptions& options);

// This machine as it is now, beside a device of so many bytes (0: none).
plan::FitMachine fit_machine(int64_t device_memory);

}  // namespace sluice::engine
