// FlexGen's way: layers and attention on the device, keys and values on the host but for a share
// that stays; those of the next micro-batch move there while this one computes, new ones move back.
//
// What moves at once is all blocks of one micro-batch's sequences in one layer. There are two
// windows for that on the device: the one that is attended over, and the one that arrives. Weights
// move by pages, as in cgopipe, behind the keys and values of their layer (paged_experts.h).
#pragma once

#include "schedule/device_pipeline.h"

namespace sluice::schedule {

class KvPrefetch final : public DevicePipeline {
 public:
  KvPrefetch() : DevicePipeline(plan::Place::kDevice) {}

  const char* name() const override { return "kv_prefetch"; }
};

}  // namespace sluice::schedule
