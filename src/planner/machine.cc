#include "planner/machine.h"

#include <algorithm>

namespace sluice::planner {

using hardware::LevelKind;
using schedule::arithmetic;
using schedule::Lane;
using schedule::missing;

namespace {

Watts watts_of(const hardware::Level& level) {
  return {.idle = level.idle_watts.value_or(0), .busy = level.busy_watts.value_or(0)};
}

Result<schedule::Rates> link(const hardware::Hardware& hardware, const std::string& from,
                             const std::string& to, double efficiency) {
  for (const hardware::Link& link : hardware.links) {
    if (link.from != from || link.to != to) continue;
    return schedule::Rates{.bytes_per_second = link.bytes_per_second * efficiency,
                           .latency_s = link.latency_us * 1e-6};
  }
  return missing(hardware, "link from '" + from + "' to '" + to + "'");
}

Status add_device(const hardware::Hardware& hardware, const hardware::Level& device,
                  const hardware::Level& host, const Efficiency& efficiency, Machine& machine) {
  machine.devices = 1;
  machine.device_memory = device.capacity_bytes;
  machine.device_watts = watts_of(device);
  SLUICE_ASSIGN(const double flops, arithmetic(hardware, device, "bf16"));
  machine.rates(Lane::kDeviceCompute) = {.flops_per_second = flops * efficiency.arithmetic,
                                         .bytes_per_second = device.read_bytes_per_second};
  SLUICE_ASSIGN(machine.rates(Lane::kHostToDevice),
                link(hardware, host.name, device.name, efficiency.link));
  SLUICE_ASSIGN(machine.rates(Lane::kDeviceToHost),
                link(hardware, device.name, host.name, efficiency.link));
  return {};
}

}  // namespace

Result<Machine> machine_of(const hardware::Hardware& hardware, const Formats& formats,
                           const Efficiency& efficiency) {
  const hardware::Level* host = hardware.find(LevelKind::kHost);
  if (host == nullptr) return missing(hardware, "host memory");
  Machine machine;
  machine.name = hardware.name;
  machine.measured = hardware.source == hardware::Source::kMeasured;
  machine.host_memory = host->capacity_bytes;
  machine.memory_nodes = host->memory_nodes;
  machine.host_watts = watts_of(*host);
  SLUICE_ASSIGN(machine.costs, schedule::host_costs(hardware, formats));
  machine.cores = host->compute->threads;
  if (const hardware::Level* disk = hardware.find(LevelKind::kDisk)) {
    machine.disk_bytes = disk->capacity_bytes;
    machine.disk_watts = watts_of(*disk);
  }
  if (const hardware::Level* device = hardware.find(LevelKind::kDevice)) {
    SLUICE_TRY(add_device(hardware, *device, *host, efficiency, machine));
  }
  return machine;
}

Machine with_devices(Machine machine, int devices) {
  machine.devices = devices;
  machine.device_memory *= devices;
  for (const Lane lane : {Lane::kDeviceCompute, Lane::kHostToDevice, Lane::kDeviceToHost}) {
    machine.rates(lane).flops_per_second *= devices;
    machine.rates(lane).bytes_per_second *= devices;
  }
  machine.device_watts.idle *= devices;
  machine.device_watts.busy *= devices;
  return machine;
}

}  // namespace sluice::planner
