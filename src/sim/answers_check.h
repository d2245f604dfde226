// What must be true of a batch's output, whenever its process is not running.
#pragma once

#include <string>
#include <vector>

#include "sim/request_pool.h"
#include "sim/world.h"

namespace sluice::sim {

// Every whole line is the answer that its request must get, bit for bit, and there once; only the
// last may be torn, and none is once the batch has ended, when every request has its answer. Where
// `may_fail`, a request may have failed by a fault of the machine instead; false: one has.
bool check_answers(const std::string& output_path, const std::vector<const PoolLine*>& lines,
                   bool ended, bool may_fail, World& world);

}  // namespace sluice::sim
