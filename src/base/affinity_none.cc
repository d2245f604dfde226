#include "base/affinity.h"

namespace sluice::base {

const std::vector<int>& allowed_cores() {
  static const std::vector<int> cores = {0};
  return cores;
}
bool keep_on_cores(const std::vector<int>&) { return false; }
int current_core() { return -1; }

}  // namespace sluice::base
