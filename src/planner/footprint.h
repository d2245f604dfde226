// What a candidate reserves at each level, and the shares that find room: of experts on the device,
// then in host memory; of the cache on the device.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "planner/hrm.h"
#include "planner/workload.h"

namespace sluice::planner {

// Bytes reserved before the first token, by level. Weights, cache and activations are counted as
// plan/fit.h reserves them.
struct Footprint {
  int64_t device_weights = 0, device_kv = 0, device_activations = 0;
  int64_t host_weights = 0, host_kv = 0, host_activations = 0;
  int64_t disk_weights = 0, disk_kv = 0;
  int64_t device() const { return device_weights + device_kv + device_activations; }
  int64_t host() const { return host_weights + host_kv + host_activations; }
  int64_t disk() const { return disk_weights + disk_kv; }
  bool operator==(const Footprint&) const = default;
};

// The smallest share of the experts that must have a place where they are computed.
double least_share(const Subject& subject);

Footprint footprint(const Subject& subject, const Candidate& candidate, const Workload& workload);

// Of the whole cache, wherever its blocks have their home.
int64_t kv_cache_bytes(const Subject& subject, const Candidate& candidate,
                       const Workload& workload);

// Sets resident_weights and host_weights to as much as the machine has room for beside the
// candidate's cache and activations; a Shortage says what is missing at which level, in bytes.
struct Shortage {
  schedule::Level level = schedule::Level::kHost;
  int64_t bytes = 0;
};
std::optional<Shortage> settle(const Subject& subject, const Workload& workload,
                               Candidate& candidate);

}  // namespace sluice::planner
