// Machines that are not here, from public datasheets: devices, host processors and disks, to be put
// together. Every part names its source; what no datasheet states is marked as assumed.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "hardware/hardware.h"

namespace sluice::hardware {

// Which parts, by name; empty: none of that kind. Without host_memory_bytes the host has what its
// preset says.
struct Parts {
  std::string device;  // "l4"
  std::string host;    // "xeon-24c"; of a device alone, the host that it usually stands beside
  std::string disk;    // "nvme-gen4"
  int64_t host_memory_bytes = 0;
};

// One machine of these parts: levels "device", "host", "disk", and a link each way between device
// and host. kInvalid names the parts that there are.
Result<Hardware> combine(const Parts& parts);

struct PresetPart {
  std::string name;
  std::string origin;
};
std::vector<PresetPart> device_presets();
std::vector<PresetPart> host_presets();
std::vector<PresetPart> disk_presets();

}  // namespace sluice::hardware
