#include "schedule/kv_prefetch.h"

#include "schedule/device_chain.h"

namespace sluice::schedule {

void KvPrefetch::iteration(const Context& context, Subgraph& out) const {
  device_iteration(context, AttendOn::kDeviceAhead, expansion_bounds(context), out);
  add_ahead(context, out);
}

BuilderBounds KvPrefetch::bounds(const Context& context) const {
  Bounds iteration = device_bounds(context, AttendOn::kDeviceAhead);
  return {iteration += ahead_bounds(context), expansion_bounds(context)};
}

}  // namespace sluice::schedule
