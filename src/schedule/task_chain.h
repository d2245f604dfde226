// Tasks one after the other, over any lanes: what the chains of the host and of a device share.
#pragma once

#include "schedule/stages.h"

namespace sluice::schedule {

// What keys and values that move for attention add to an iteration: without their bytes; and of
// those of the disk all. Nothing where none move.
Bounds kv_bounds(const Context& context);
Bounds disk_kv_bounds(const Context& context);

class TaskChain {
 protected:
  TaskChain(const Context& context, Subgraph& out) : context_(context), out_(out) {}

  // The task added last comes after the chain's last one, and whatever that expanded to.
  void follow(TaskIndex index);

  // A stage, next.
  TaskIndex compute(Lane lane, const models::Stage& stage, int64_t rank = 0,
                    const RoutingOutcome* routing = nullptr);

  // Where keys and values come from and go to, over which lanes, and what moves of each.
  struct KvHome {
    Lane comes = Lane::kDisk, goes = Lane::kDisk;
    Level far = Level::kDisk, near = Level::kHost;
    int64_t block_bytes = 0, token_bytes = 0;
  };
  // Attention on `lane`, over keys and values of which some may come, and new ones go home, by
  // parts if there are several. `ahead`: they come as soon as there is room, but not before
  // `after`, if any, and go beside what follows; else each in its turn.
  void attend_between(const KvHome& home, Lane lane, int16_t layer, int64_t rank, bool ahead,
                      TaskIndex after = kNone);
  // The same on the host, for a home on disk.
  void attend_on_host(int16_t layer, int64_t rank, bool ahead, TaskIndex after = kNone);

  const Context& context_;
  Subgraph& out_;
  TaskIndex last_ = kNone;
};

}  // namespace sluice::schedule
