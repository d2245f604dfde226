// One iteration of one micro-batch with its layers on a device: what schedules with a device are
// made of.
#pragma once

#include "schedule/builder.h"

namespace sluice::schedule {

// Where a micro-batch attends, and whether the keys and values that are not there come ahead of
// their turn.
struct Attention {
  plan::Place on = plan::Place::kHost;
  bool ahead = true;
};

// Every stage and the transfers between them as one chain over the lanes, expanding after each MoE
// layer's `route`. Of a lane's ready tasks those of lower layers go first. Keys and values that
// come ahead go home beside the chain.
//
// Tasks that are in `out` already are pages ahead, layer by layer. To a device that attends, pages
// and keys and values come over the same lane, in one order (paged_experts.h). To a host that
// attends, keys and values come over a lane of their own; so that a micro-batch which has got room
// for them never waits for a page that has none, they come behind the last page ahead of the layer
// before.
void device_iteration(const Context& context, const Attention& attention, const Bounds& expansion,
                      Subgraph& out);

// Tasks of that chain, without the expansions.
Bounds device_bounds(const Context& context, const Attention& attention);

}  // namespace sluice::schedule
