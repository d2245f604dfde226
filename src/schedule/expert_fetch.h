// For small batches: after the router, only the experts that it chose are read, those with the most
// tokens first.
#pragma once

#include "schedule/paged_experts.h"

namespace sluice::schedule {

class ExpertFetch final : public PagedExperts {
 public:
  const char* name() const override { return "expert_fetch"; }

 private:
  bool ahead(const Context&, int, int) const override { return false; }
};

}  // namespace sluice::schedule
