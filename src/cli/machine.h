// This machine's measured rates, kept in the user's cache directory between runs.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "batch/report.h"
#include "engine/engine.h"
#include "probe/probe.h"

namespace sluice::cli {

// hardware.json in $XDG_CACHE_HOME/sluice or ~/.cache/sluice; empty without a home. A number of
// threads other than the cores this process may use (0) has a file of its own.
std::string hardware_cache_path(int threads);

// Where what is learned of the use of experts is kept between runs; made if it is not there, empty
// without a home.
std::string expert_use_directory();

// Measured now, or when the file at `cache_path` was written. `threads`: as above. `complete`: the
// slower rates too (ProbeOptions), with a line on standard error that says how far it is.
Result<probe::Probed> measured_hardware(const std::string& cache_path, int threads,
                                        bool complete = false);

// The complete measurement that is kept of this machine, if there is one (`sluice probe`).
std::optional<hardware::Hardware> known_hardware(int threads);

// What the report and the trace hold a run against: arithmetic in "f32", or in "int8" where
// products run in whole numbers. Nothing when the machine has no such figures.
std::optional<batch::MachineLimits> limits_of(const hardware::Hardware& hardware,
                                              const std::string& dtype);

}  // namespace sluice::cli
