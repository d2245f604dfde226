// For small batches: after the router, only the experts that it chose are read, those with the most
// tokens first. While one layer's are read and computed, the router of the next is guessed at, from
// the hidden state at hand, and what it may choose is read where nothing else wants the disk.
//
// A guess is never waited for. Its reads come after everything else in the lane's order, and their
// tasks end when the read has begun, whose bytes nobody has claimed: so neither an iteration's end
// nor a page that is needed waits for one, and what paged_experts.h says of who has what it needs
// holds as if there were none.
#pragma once

#include "schedule/paged_experts.h"

namespace sluice::schedule {

class ExpertFetch final : public PagedExperts {
 public:
  const char* name() const override { return "expert_fetch"; }

  void iteration(const Context& context, Subgraph& out) const override;
  void expand(const Context& context, const ExpansionPoint& point, const RoutingOutcome& outcome,
              Subgraph& out) const override;
  BuilderBounds bounds(const Context& context) const override;

 private:
  bool ahead(const Context&, int, int) const override { return false; }
};

}  // namespace sluice::schedule
