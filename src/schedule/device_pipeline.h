// Schedules whose layers run on a device while pages of experts move there ahead; they differ in
// where attention runs.
#pragma once

#include "schedule/device_chain.h"
#include "schedule/paged_experts.h"

namespace sluice::schedule {

class DevicePipeline : public PagedExperts {
 public:
  void iteration(const Context& context, Subgraph& out) const override;
  BuilderBounds bounds(const Context& context) const override;

 protected:
  explicit DevicePipeline(plan::Place attend_on)
      : PagedExperts(kDeviceLanes), attention_{.on = attend_on} {}

 private:
  Attention attention_;
};

}  // namespace sluice::schedule
