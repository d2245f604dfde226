// The flags that say how tokens are drawn where a request does not.
#pragma once

#include <CLI/CLI.hpp>

#include "base/json.h"
#include "engine/request.h"

namespace sluice::cli {

// `show_defaults`: what stands in `sampling` is what holds without the flags.
void add_sampling_flags(CLI::App& command, engine::SamplingParams& sampling, bool show_defaults);

// What the flags say, for a journal that compares runs.
Json sampling_json(const engine::SamplingParams& sampling);

}  // namespace sluice::cli
