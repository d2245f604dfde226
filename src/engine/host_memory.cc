#include "engine/host_memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

#include "base/affinity.h"

namespace sluice::engine {
namespace {

int64_t meminfo_available() {
  std::ifstream in("/proc/meminfo");
  std::string key;
  int64_t kib = 0;
  std::string unit;
  while (in >> key >> kib >> unit) {
    if (key == "MemAvailable:") return kib * 1024;
  }
  return 0;
}

// A number, or nothing for "max" and for files that are not there.
int64_t number_in(const std::string& path, int64_t otherwise) {
  std::ifstream in(path);
  int64_t value = 0;
  return in >> value ? value : otherwise;
}

// This process's cgroup (version 2), as a path below /sys/fs/cgroup.
std::string own_cgroup() {
  std::ifstream in("/proc/self/cgroup");
  std::string line;
  while (std::getline(in, line)) {
    if (line.starts_with("0::")) return line.substr(3);
  }
  return "";
}

}  // namespace

int64_t available_host_memory() {
  int64_t available = meminfo_available();
  constexpr int64_t kNone = std::numeric_limits<int64_t>::max();
  for (std::string group = own_cgroup(); !group.empty();
       group = group.substr(0, group.find_last_of('/'))) {
    const std::string directory = "/sys/fs/cgroup" + group;
    const int64_t limit = number_in(directory + "/memory.max", kNone);
    if (limit == kNone) continue;
    available = std::min(available, limit - number_in(directory + "/memory.current", 0));
  }
  return std::max<int64_t>(available, 0);
}

int available_cores() { return static_cast<int>(base::allowed_cores().size()); }

}  // namespace sluice::engine
