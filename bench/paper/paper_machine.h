// The machines of MoE-Lightning's paper, with the constants of its optimizer, and what its engine
// has room for: the constraints of its public artifact.
#pragma once

#include <optional>
#include <string_view>

#include "bench/paper/published.h"
#include "planner/search.h"

namespace sluice::bench {

// What a machine reaches of its constants.
struct Reached {
  planner::Efficiency device;
  double host_bytes_per_second = 0;  // of its memory
};
// The peaks themselves: the host's memory as the artifact's README has it, 76 GB/s.
Reached peaks();
// With these fitted for the device; the host's memory as fast as the paper's table of milliseconds
// per layer has attention on the host read its cache: 1.07 GB (128 sequences of 2048 tokens) in
// 23.2 ms.
Reached reached(const planner::Efficiency& device);

// MoE-Lightning's devices share every layer. FlexGen's have some layers each, and a batch goes
// through them in turns: no faster than one, with all their memory.
planner::Machine paper_machine(const Setting& setting, std::string_view system,
                               const Reached& reached);

// The artifact's constraints on (N, mu, r_w): a prompt's activations on the device as its engine
// has them, 86 % of the device's memory and 80 % of the host's. Sets resident_weights to what finds
// room.
std::optional<planner::Shortage> paper_settle(const planner::Subject& subject,
                                              const planner::Workload& workload,
                                              planner::Candidate& candidate);

}  // namespace sluice::bench
