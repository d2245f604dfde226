// The machines of MoE-Lightning's paper, with the constants of its optimizer, and what its engine
// has room for: the constraints of its public artifact.
#pragma once

#include <optional>
#include <string_view>

#include "bench/paper/published.h"
#include "planner/search.h"

namespace sluice::bench {

// MoE-Lightning's devices share every layer. FlexGen's have some layers each, and a batch, whose
// next token waits for its last, goes through them in turns: no faster than one, with all their
// memory.
planner::Machine paper_machine(const Setting& setting, std::string_view system,
                               const planner::Efficiency& efficiency);

// The artifact's constraints on (N, mu, r_w): a prompt's activations on the device as its engine
// has them, 86 % of the device's memory and 80 % of the host's. Sets resident_weights to what finds
// room.
std::optional<planner::Shortage> paper_settle(const planner::Subject& subject,
                                              const planner::Workload& workload,
                                              planner::Candidate& candidate);

}  // namespace sluice::bench
