// A machine as the planner sees it: what each lane does at best, what each level holds and burns.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "hardware/hardware.h"
#include "schedule/cost_model.h"
#include "schedule/host_costs.h"

namespace sluice::planner {

// Shares of the stated peaks that a device reaches: of its arithmetic, and of its link. 1: the
// roofline as it stands.
struct Efficiency {
  double arithmetic = 1;
  double link = 1;
  bool operator==(const Efficiency&) const = default;
};

struct Watts {
  double idle = 0, busy = 0;  // 0: not stated
  bool operator==(const Watts&) const = default;
};

struct Machine {
  std::string name;
  bool measured = false;      // every figure was measured on the machine itself
  int devices = 0;            // 0: none; several share every layer (tensor parallel)
  int64_t device_memory = 0;  // of all of them together, bytes
  int64_t host_memory = 0;
  int64_t disk_bytes = 0;         // 0: no disk to stream from
  bool disk_feeds_device = true;  // experts of a device may lie there, else all in host memory
  int cores = 1;
  int memory_nodes = 1;
  schedule::CostModel costs;  // rates of all devices together; costs.weights is the candidate's
  Watts device_watts, host_watts, disk_watts;

  bool has_device() const { return devices > 0; }
  bool has_disk() const { return disk_bytes > 0; }
  const schedule::Rates& rates(schedule::Lane lane) const {
    return costs.rates[static_cast<size_t>(lane)];
  }
  schedule::Rates& rates(schedule::Lane lane) { return costs.rates[static_cast<size_t>(lane)]; }
};

using schedule::Formats;

// The first device (if any), host and disk (if any) of `hardware`, and the links between device and
// host. The host computes as schedule::host_costs() says, a device in 16 bits. Where a level states
// no arithmetic of a type, the nearest that it states stands for it. kInvalid names a part that a
// plan needs and that is not stated.
Result<Machine> machine_of(const hardware::Hardware& hardware, const Formats& formats,
                           const Efficiency& efficiency = {});

// So many of its devices side by side, each with its own link: every rate and capacity of the
// device's times `devices`. What they exchange is costed by the candidate (hrm.h).
Machine with_devices(Machine machine, int devices);

}  // namespace sluice::planner
