// How long a pass takes whose lanes' work is known: as its schedule lays them beside each other.
#pragma once

#include "planner/hrm.h"

namespace sluice::planner {

// Seconds that are also in the pass's lanes.
struct PassParts {
  double weights_up = 0;  // weights to the device
  double staging = 0;     // copies to pinned memory
  double attention = 0;   // attention's stages
};

double computing_seconds(const Pass& pass);  // of device and host

// Sets the pass's seconds, floor and bound from its lanes.
void lay_beside(Overlap overlap, double micro_batches, const PassParts& parts, Pass& pass);

}  // namespace sluice::planner
