// How much memory this process may still take.
#pragma once

#include <cstdint>

namespace sluice::engine {

// Bytes: what the kernel says is available, less if a cgroup allows less. 0 if nothing can be read.
int64_t available_host_memory();

// Bytes that this process holds for itself: what it shares with files does not count.
int64_t process_memory();
// The most that this process has held so far, files that it maps included. 0 if nothing says.
int64_t peak_process_memory();

// Cores that this process may run on.
int available_cores();

}  // namespace sluice::engine
