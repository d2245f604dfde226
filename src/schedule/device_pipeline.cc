#include "schedule/device_pipeline.h"

namespace sluice::schedule {

void DevicePipeline::iteration(const Context& context, Subgraph& out) const {
  device_iteration(context, attend_on_, expansion_bounds(context), out);
  add_ahead(context, out);
}

BuilderBounds DevicePipeline::bounds(const Context& context) const {
  Bounds iteration = device_bounds(context, attend_on_);
  return {iteration += ahead_bounds(context), expansion_bounds(context)};
}

}  // namespace sluice::schedule
