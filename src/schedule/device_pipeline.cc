#include "schedule/device_pipeline.h"

namespace sluice::schedule {

void DevicePipeline::iteration(const Context& context, Subgraph& out) const {
  add_ahead(context, out);
  device_iteration(context, attention_, expansion_bounds(context), out);
}

BuilderBounds DevicePipeline::bounds(const Context& context) const {
  Bounds iteration = device_bounds(context, attention_);
  return {iteration += ahead_bounds(context), expansion_bounds(context)};
}

}  // namespace sluice::schedule
