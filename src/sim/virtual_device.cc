#include "sim/virtual_device.h"

#include <string>

namespace sluice::sim {

bool DrawnDeviceFaults::drawn(double chance, Happening happening, const char* what) {
  if (!world_.random.chance(chance)) return false;
  ++world_.counts[happening];
  world_.event(std::string("device: ") + what);
  return true;
}

device::Fault DrawnDeviceFaults::of_transfer(const device::TransferInfo&) {
  device::Fault fault;
  fault.fails = drawn(trouble_.fault, Happening::kLaneFault, "the next transfer fails");
  if (drawn(trouble_.stall, Happening::kStall, "the next transfer stalls"))
    fault.stall_ms = world_.random.between(1, 200);
  failed_ |= fault.fails;
  return fault;
}

bool DrawnDeviceFaults::task_fails() {
  const bool fails = drawn(trouble_.fault, Happening::kLaneFault, "the next task fails");
  failed_ |= fails;
  return fails;
}

int64_t DrawnDeviceFaults::memory_bytes(int64_t capacity_bytes) {
  if (!trouble_.is_full) return capacity_bytes;
  short_of_memory_ = true;
  ++world_.counts[Happening::kFullDevice];
  // Of machines with much more than these models need: nearly always too little.
  return world_.random.below(int64_t{1} << 20);
}

}  // namespace sluice::sim
