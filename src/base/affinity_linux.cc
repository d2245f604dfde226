#include <sched.h>

#include "base/affinity.h"

namespace sluice::base {
namespace {

std::vector<int> read_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return {0};
  std::vector<int> cores;
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  return cores;
}

}  // namespace

const std::vector<int>& allowed_cores() {
  static const std::vector<int> cores = read_cores();
  return cores;
}

bool keep_on_cores(const std::vector<int>& cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int core : cores) CPU_SET(core, &set);
  return sched_setaffinity(0, sizeof set, &set) == 0;
}

int current_core() { return sched_getcpu(); }

}  // namespace sluice::base
