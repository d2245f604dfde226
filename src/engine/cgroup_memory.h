// What the control groups of this process still allow it to take.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>

namespace sluice::engine {

constexpr int64_t kNoMemoryLimit = std::numeric_limits<int64_t>::max();

// Bytes: over the process's own memory group and all above it, the least of limit - use, where file
// pages that the kernel may drop do not count as used; kNoMemoryLimit if no group has a limit.
// Reads version 2 and version 1 of the interface. `membership` is /proc/self/cgroup, `root`
// /sys/fs/cgroup; inside a container the group's path may not lie below the root, which then
// stands for it.
int64_t cgroup_memory_left(const std::filesystem::path& membership,
                           const std::filesystem::path& root);

}  // namespace sluice::engine
