#include "engine/host_memory.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>

#include "base/affinity.h"
#include "engine/cgroup_memory.h"

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

// Bytes, of a line that states kB.
int64_t own_status(const std::string& key) {
  std::ifstream in("/proc/self/status");
  std::string line;
  while (std::getline(in, line)) {
    if (line.starts_with(key)) return std::strtoll(line.c_str() + key.size(), nullptr, 10) * 1024;
  }
  return 0;
}

}  // namespace

int64_t available_host_memory() {
  return std::min(meminfo_available(), cgroup_memory_left("/proc/self/cgroup", "/sys/fs/cgroup"));
}

int64_t process_memory() { return own_status("RssAnon:"); }

int64_t peak_process_memory() { return own_status("VmHWM:"); }

int available_cores() { return static_cast<int>(base::allowed_cores().size()); }

}  // namespace sluice::engine
