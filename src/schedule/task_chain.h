// Tasks one after the other, over any lanes: what the chains of the host and of a device share.
#pragma once

#include "schedule/stages.h"

namespace sluice::schedule {

// What keys and values to and from the disk add to an iteration; nothing where none move.
Bounds disk_kv_bounds(const Context& context);

class TaskChain {
 protected:
  TaskChain(const Context& context, Subgraph& out) : context_(context), out_(out) {}

  // The task added last comes after the chain's last one, and whatever that expanded to.
  void follow(TaskIndex index);

  // Keys and values on their way, over a lane; ahead of their turn not before `after`, if any.
  struct KvMove {
    Lane lane = Lane::kDisk;
    Level from = Level::kDisk, to = Level::kHost;
    int64_t bytes = 0;
    TaskIndex after = kNone;
  };
  // Attention on `lane` over keys and values of which some come, and of which new ones go home.
  // `ahead`: they come as soon as there is room, and go beside what follows; else each in its turn.
  void attend_between(const KvMove& comes, Lane lane, const KvMove& goes, int16_t layer,
                      int64_t rank, bool ahead);
  // Attention on the host over keys and values of which some come from the disk, and of which
  // blocks that become full go there, as above; just attention where all of them are in memory.
  void attend_on_host(int16_t layer, int64_t rank, bool ahead, TaskIndex after = kNone);

  const Context& context_;
  Subgraph& out_;
  TaskIndex last_ = kNone;
};

}  // namespace sluice::schedule
