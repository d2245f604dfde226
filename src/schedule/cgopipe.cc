#include "schedule/cgopipe.h"

#include "schedule/device_chain.h"

namespace sluice::schedule {

void Cgopipe::iteration(const Context& context, Subgraph& out) const {
  device_iteration(context, AttendOn::kHost, expansion_bounds(context), out);
  add_ahead(context, out);
}

BuilderBounds Cgopipe::bounds(const Context& context) const {
  Bounds iteration = device_bounds(context, AttendOn::kHost);
  return {iteration += ahead_bounds(context), expansion_bounds(context)};
}

}  // namespace sluice::schedule
