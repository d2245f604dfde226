// One iteration of one micro-batch with its layers on a device: what schedules with a device are
// made of.
#pragma once

#include "schedule/builder.h"

namespace sluice::schedule {

// Where a micro-batch attends; and if on the device, whether the keys and values that are not there
// come ahead of their turn.
enum class AttendOn : uint8_t { kHost, kDeviceAhead, kDeviceInTurn };

// Every stage and the transfers between them as one chain over the lanes, expanding after each MoE
// layer's `route`. Of a lane's ready tasks those of lower layers go first. Keys and values ahead
// wait for nobody, and new ones go home beside the chain.
void device_iteration(const Context& context, AttendOn attend, const Bounds& expansion,
                      Subgraph& out);

// Tasks of that chain, without the expansions.
Bounds device_bounds(const Context& context, AttendOn attend);

}  // namespace sluice::schedule
