#include "device/emulated.h"

#include <algorithm>

namespace sluice::device {
namespace {

using hardware::Hardware;
using hardware::Level;
using hardware::LevelKind;

constexpr const char* kPrefix = "emulated:";

Error missing(const Hardware& hardware, const std::string& what) {
  return {ErrorCode::kInvalid, "hardware '" + hardware.name + "' " + what +
                                   "; an emulated device needs a device level, a host level, the "
                                   "peak_flops of both, and a link each way"};
}

// The arithmetic of 16-bit floats, else the best that is stated.
Result<LaneSpeed> speed_of(const Hardware& hardware, const Level& level) {
  if (!level.compute || level.compute->peak_flops.empty()) {
    return missing(hardware, "states no peak_flops of level '" + level.name + "'");
  }
  const auto& peaks = level.compute->peak_flops;
  LaneSpeed speed{.bytes_per_second = level.read_bytes_per_second};
  for (const char* dtype : {"f16", "bf16", "f32"}) {
    if (const auto found = peaks.find(dtype); found != peaks.end()) {
      speed.flops_per_second = found->second;
      return speed;
    }
  }
  return missing(hardware, "states no f16, bf16 or f32 peak of level '" + level.name + "'");
}

Result<LaneSpeed> speed_of(const Hardware& hardware, const Level& from, const Level& to) {
  for (const hardware::Link& link : hardware.links) {
    if (link.from == from.name && link.to == to.name) {
      return LaneSpeed{.bytes_per_second = link.bytes_per_second,
                       .latency_s = link.latency_us * 1e-6};
    }
  }
  return missing(hardware, "has no link from '" + from.name + "' to '" + to.name + "'");
}

}  // namespace

Result<EmulatedDevice> emulated_device(const Hardware& hardware) {
  const Level* device = hardware.find(LevelKind::kDevice);
  const Level* host = hardware.find(LevelKind::kHost);
  if (device == nullptr || host == nullptr) return missing(hardware, "lacks a level");
  EmulatedDevice emulated{.name = device->name, .capacity_bytes = device->capacity_bytes};
  SLUICE_ASSIGN(emulated.device, speed_of(hardware, *device));
  SLUICE_ASSIGN(emulated.host, speed_of(hardware, *host));
  SLUICE_ASSIGN(emulated.host_to_device, speed_of(hardware, *host, *device));
  SLUICE_ASSIGN(emulated.device_to_host, speed_of(hardware, *device, *host));
  return emulated;
}

Result<Hardware> parse_device_hardware(const std::string& flag) {
  if (!flag.starts_with(kPrefix)) {
    return Error{ErrorCode::kInvalid,
                 "--device is '" + flag + "'; emulated:FILE with a hardware.json is expected"};
  }
  return hardware::read_file(flag.substr(std::string(kPrefix).size()));
}

Result<EmulatedDevice> parse_device(const std::string& flag) {
  SLUICE_ASSIGN(const Hardware hardware, parse_device_hardware(flag));
  return emulated_device(hardware);
}

}  // namespace sluice::device
