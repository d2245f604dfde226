// Which cores threads run on.
#pragma once

#include <vector>

namespace sluice::base {

// The cores that this process might run on when it first asked, in order; one core, 0, where that
// cannot be asked.
const std::vector<int>& allowed_cores();

// Keeps this thread, and threads that it makes from now on, on these cores. False if refused.
bool keep_on_cores(const std::vector<int>& cores);

// Where this thread runs now; -1 where that cannot be asked.
int current_core();

}  // namespace sluice::base
