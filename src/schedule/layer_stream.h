// For large batches: layers stream from disk to host. Experts that the batch will most likely need
// are read in the order of the layers, several layers ahead of the computation; the others when
// they are asked for.
#pragma once

#include "schedule/paged_experts.h"

namespace sluice::schedule {

class LayerStream final : public PagedExperts {
 public:
  const char* name() const override { return "layer_stream"; }
};

}  // namespace sluice::schedule
