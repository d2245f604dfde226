// Seconds for the times that requests report.
#pragma once

#include <chrono>

namespace sluice::engine {

// Monotonic; from no particular moment.
inline double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace sluice::engine
