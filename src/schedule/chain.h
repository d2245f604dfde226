// A chain of stages on the host: what `resident` and `serial` are made of.
#pragma once

#include "schedule/task_chain.h"

namespace sluice::schedule {

class Chain : private TaskChain {
 public:
  Chain(const Context& context, Subgraph& out) : TaskChain(context, out) {}

  // The next stage, after the one before and whatever that expanded to.
  void add(const models::Stage& stage, const RoutingOutcome* routing = nullptr);
  // A stage after the last one added, with an expansion, that nothing follows.
  void aside(const models::Stage& stage, const Bounds& bounds);
  // `attend`, with what it needs of keys and values from the disk; `ahead` as in task_chain.h.
  void attend(int16_t layer, bool ahead) { attend_on_host(layer, 0, ahead); }
  // `embed`, the first stage, behind the rows that it needs from the disk, each a transfer.
  void embed();
  // The last stage added expands.
  void expand(const Bounds& bounds) { out_.expand(bounds); }
};

// Every stage of one iteration as one chain, expanding after each MoE layer's `route`, behind the
// rows of the embedding that must be read. With `guess`, each MoE layer's router is also guessed
// at, behind the `route` of the layer before, or behind `embed`. `kv_ahead`: as of attend().
void chain_iteration(const Context& context, const Bounds& expansion, Subgraph& out,
                     const Bounds* guess = nullptr, bool kv_ahead = true);

// That chain, without the expansions.
Bounds chain_bounds(const Context& context, bool guesses = false);

}  // namespace sluice::schedule
