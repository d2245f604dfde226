// For each expert of a layer: is it sooner computed on the device, whereto its weights may have to
// move, or on the host, where they lie? By the cost statement alone (HRM eq. 9 and 14 for one
// expert at a time), so that experts with few tokens are done on the host while hot ones move.
#pragma once

#include <bitset>

#include "schedule/builder.h"

namespace sluice::schedule {

using ExpertSet = std::bitset<static_cast<size_t>(models::kMaxExperts)>;

// Of the tokens, the share that chooses this expert: as measured, or all experts alike.
double share_of(const Context& context, int layer, int expert);

// Of a device's pages, the share that stays there from round to round, if slots for this share of
// them are all it has: half a layer's experts' slots let the others pass through (measured on
// emulated devices of 16 to 57 slots for 64 pages, 2 and 6 micro-batches: 2 to 8 slots).
double staying_share(int64_t pages, int experts, double resident_weights);

// Before the layer is routed: the experts, of those in `moving`, that are to be computed on the
// host, because then the lane that has most to do in that layer, over a round of all micro-batches,
// has least. A page crosses the link once for all of them, and only as far as there are fewer slots
// than pages; the host does each one's tokens apart. Taken are those with the smallest measured
// share of tokens. Empty unless the plan says plan::Place::kAuto and times are known, and all of
// them for plan::Place::kHost.
ExpertSet experts_for_host(const Context& context, int layer, const ExpertSet& moving);

// Behind the router: a list schedule of experts that have tokens, are not on the device and not on
// their way there. Each in turn takes the way on which it ends first, behind those before it; so
// give those with the most tokens first. `ahead`: pages of the layer that are moved anyhow, before
// these, and have the first claim to a slot.
class ExpertLists {
 public:
  ExpertLists(const Context& context, int16_t layer, size_t ahead);
  bool on_host(int32_t tokens);

 private:
  void take_times(int32_t tokens);

  const Context* context_;
  int16_t layer_;
  int64_t link_ns_ = 0, host_ns_ = 0, device_ns_ = 0;
  double crossing_ = 1;  // share of the other pages for which there is no slot
  // Of one expert with so many tokens; -1: of none yet.
  int32_t tokens_ = -1;
  int64_t page_ns_ = 0, host_group_ns_ = 0, device_group_ns_ = 0, output_ns_ = 0;
};

}  // namespace sluice::schedule
