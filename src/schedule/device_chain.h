// One iteration of one micro-batch with its layers on a device and its attention on the host: what
// schedules with a device are made of.
#pragma once

#include "schedule/builder.h"

namespace sluice::schedule {

// Every stage and the transfers between them as one chain over the lanes, expanding after each MoE
// layer's `route`. Of a lane's ready tasks those of lower layers go first.
void device_iteration(const Context& context, const Bounds& expansion, Subgraph& out);

// Tasks of that chain, without the expansions.
Bounds device_bounds(const Context& context);

}  // namespace sluice::schedule
