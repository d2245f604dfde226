// MoE-Lightning's CGOPipe: layers on the device, attention over the KV cache on the host, weights
// moving to the device by pages, between the micro-batches' hidden states; nothing waits that need
// not. arXiv 2411.11217, algorithm 1.
//
// Several micro-batches are in flight. While the host attends for one, the device computes another
// and the link brings pages of layers to come. The paper places one page between two loads of
// hidden states; here loads go before pages whenever one is ready, which comes to the same and
// needs no fixed ratio. A page is claimed by each micro-batch and crosses the link once for all of
// them as long as they stay within the layers that the slots hold: of ready tasks those of lower
// layers go first, so they do.
#pragma once

#include "schedule/device_pipeline.h"

namespace sluice::schedule {

class Cgopipe final : public DevicePipeline {
 public:
  Cgopipe() : DevicePipeline(plan::Place::kHost) {}

  const char* name() const override { return "cgopipe"; }
};

}  // namespace sluice::schedule
