#pragma once

#include "schedule/builder.h"

namespace sluice::schedule {

// Everything lies on the host and is computed there: the stages in order. After routing, one
// expert group over all experts, so that the kernels balance its work from one pool. Micro-batches
// know nothing of each other, so several may be in flight.
class Resident final : public Builder {
 public:
  const char* name() const override { return "resident"; }
  void iteration(const Context& context, Subgraph& out) const override;
  void expand(const Context& context, const ExpansionPoint& point, const RoutingOutcome& outcome,
              Subgraph& out) const override;
  BuilderBounds bounds(const Context& context) const override;
};

}  // namespace sluice::schedule
