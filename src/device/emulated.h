// A device that every machine has: host memory with a capacity of its own, behind links of stated
// bandwidth and latency. What is computed on it is computed by the host's cores; lanes that use it
// are paced (pace.h), so that they overlap as on a machine that has the parts. The test double of a
// real device.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "hardware/hardware.h"

namespace sluice::device {

// What a lane does at best on the emulated machine.
struct LaneSpeed {
  double flops_per_second = 0;
  double bytes_per_second = 0;
  double latency_s = 0;
  bool operator==(const LaneSpeed&) const = default;
};

struct EmulatedDevice {
  std::string name;
  int64_t capacity_bytes = 0;
  LaneSpeed device, host, host_to_device, device_to_host;
  bool operator==(const EmulatedDevice&) const = default;
};

// The first device and the first host level of `hardware`, and the links between them. Errors: a
// part that is not there, or that states no arithmetic, by name.
Result<EmulatedDevice> emulated_device(const hardware::Hardware& hardware);

// The hardware.json that "emulated:FILE" names, and the machine that it describes. kInvalid for any
// other text.
Result<hardware::Hardware> parse_device_hardware(const std::string& flag);
Result<EmulatedDevice> parse_device(const std::string& flag);

}  // namespace sluice::device
