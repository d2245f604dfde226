#pragma once

#include "schedule/builder.h"

namespace sluice::schedule {

// Strictly one task after another, over all lanes and micro-batches, and one task per expert that
// has tokens: the baseline that overlap is measured against, and another way to the same tokens.
// With a device, experts that are not on it move there when the one before has been computed.
class Serial final : public Builder {
 public:
  const char* name() const override { return "serial"; }
  void iteration(const Context& context, Subgraph& out) const override;
  void expand(const Context& context, const ExpansionPoint& point, const RoutingOutcome& outcome,
              Subgraph& out) const override;
  BuilderBounds bounds(const Context& context) const override;
};

}  // namespace sluice::schedule
