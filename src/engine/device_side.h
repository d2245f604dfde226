// What lies and runs on an emulated device: its weights, its experts' slots, its activations, and
// the lanes to and from it.
#pragma once

#include <memory>
#include <vector>

#include "base/thread_team.h"
#include "device/emulated.h"
#include "device/pace.h"
#include "engine/expert_paging.h"
#include "engine/host_kv.h"
#include "models/activations.h"
#include "models/forward.h"
#include "plan/plan.h"

namespace sluice::engine {

// Not movable: `forward` points into it.
struct DeviceSide {
  explicit DeviceSide(const base::Clock& clock)
      : compute_pace(clock), host_pace(clock), up_pace(clock), down_pace(clock) {}

  device::EmulatedDevice machine;
  memory::Arena weight_arena, activation_arena;
  models::ModelWeights weights;
  std::unique_ptr<ExpertPaging> paging;
  std::unique_ptr<StreamedKv> kv;                // null: attention runs on the host
  std::unique_ptr<HostKv> kv_home;               // null: all of these keys and values are resident
  std::vector<models::Activations> activations;  // one set per micro-batch
  base::ThreadTeam team{1};                      // real work takes a core of the host's
  models::ForwardContext forward;
  device::Pace compute_pace, host_pace, up_pace, down_pace;
};

// Fills the device from `source`, as `plan` says, to go by `clock`; pages will come from `host`,
// keys and values from `cache`, which like the rest are borrowed. kNoRoom when the system refuses
// the memory.
Result<std::unique_ptr<DeviceSide>> make_device_side(
    const device::EmulatedDevice& machine, const models::ForwardContext& host,
    models::WeightSource& source, const models::ActivationLimits& limits, const plan::Plan& plan,
    const memory::KvCache& cache, const base::Clock& clock);

}  // namespace sluice::engine
