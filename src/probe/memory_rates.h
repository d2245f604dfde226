// Bandwidth of a host's memory: by threads, and by memory node.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.h"
#include "hardware/hardware.h"
#include "kernels/exec.h"

namespace sluice::probe {

// With 1, 2, 4, ... and all of the team's threads, of arrays of `bytes`; each rate is the best of
// rounds over `time_ms`. Errors: kNoRoom.
Result<std::vector<hardware::ThreadRate>> measure_thread_rates(const kernels::Exec& exec,
                                                               int64_t bytes, int time_ms);

// What the whole team reads of each node's memory alone; nothing where there is one node.
Result<std::vector<hardware::NodeRate>> measure_node_rates(const kernels::Exec& exec, int64_t bytes,
                                                           int time_ms);

}  // namespace sluice::probe
