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
  explicit DevicePipeline(AttendOn attend_on) : PagedExperts(kDeviceLanes), attend_on_(attend_on) {}

 private:
  AttendOn attend_on_;
};

}  // namespace sluice::schedule
