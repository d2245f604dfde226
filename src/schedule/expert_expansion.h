// One MoE layer behind its router, while it is built: dispatch, experts where they are computed,
// and the sum of what came of them.
#pragma once

#include "schedule/paged_experts.h"

namespace sluice::schedule {

// An expert that is not kept, and is needed or at least on its way. The order in which they are
// added does not change a bit of the result, since outputs are summed in the router's order.
struct Needed {
  int position = 0;
  int expert = 0;
  int32_t tokens = 0;
  bool ahead = false;  // its page has been moved, or is on its way
};

class ExpertExpansion {
 public:
  // Without `overlaps` each task waits for the one before.
  ExpertExpansion(const PagedLanes& lanes, const Context& context, int16_t layer,
                  const RoutingOutcome& outcome, bool overlaps, Subgraph& out);

  // The experts of the first `count` positions, as one group.
  void add_kept(int count);
  // An expert whose page has been moved ahead, or is asked for now.
  void add_moving(const Needed& needed);
  // An expert on the host, by the host.
  void add_on_host(const Needed& needed);
  void finish(bool has_shared);

 private:
  TaskIndex stage(Lane lane, const models::Stage& stage);
  TaskIndex transfer(Lane lane, const Transfer& transfer);
  TaskIndex group(Lane lane, int first, int count, TaskIndex after);
  void follow(TaskIndex before);
  void after_results(TaskIndex last);

  const PagedLanes& lanes_;
  const Context& context_;
  int16_t layer_;
  const RoutingOutcome& outcome_;
  bool overlaps_;
  Subgraph& out_;
  TaskIndex dispatch_ = kNone;
  TaskIndex host_dispatch_ = kNone;  // once there is something for the host
};

// The event of a page that is moved ahead, and the transfer of one.
Event page_event(const Context& context, int layer, int expert);
TaskIndex add_page(const PagedLanes& lanes, const Context& context, int layer, int expert,
                   Urgency urgency, int64_t rank, Subgraph& out);

// Bytes between host and device in one layer, if the host computes all of its experts.
int64_t host_expert_bytes(const Context& context);

}  // namespace sluice::schedule
