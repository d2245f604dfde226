// What schedules share whose experts lie on a farther level but for those that are kept: a compute
// lane does the kept ones at once and each other one as soon as its page is there, while pages move
// on. They differ in the lanes, and in which pages move before the router has asked for them.
//
// Every page that is not kept is claimed by a transfer (which moves nothing if it is there) and
// released when its expert's group has run, so that as much is moved ahead as there are slots. With
// a device some experts may be computed on the host instead, where their weights lie
// (expert_place.h): their tokens' rows go there, and what comes of them comes back.
#pragma once

#include "schedule/builder.h"
#include "schedule/expert_place.h"

namespace sluice::schedule {

// Who computes a micro-batch's layers, and what brings experts there.
struct PagedLanes {
  Lane compute = Lane::kHostCompute;
  Lane pages = Lane::kDisk;
  Level from = Level::kDisk;
  Level to = Level::kHost;
};
inline constexpr PagedLanes kDeviceLanes = {.compute = Lane::kDeviceCompute,
                                            .pages = Lane::kHostToDevice,
                                            .from = Level::kHost,
                                            .to = Level::kDevice};

// The order of a lane's ready transfers: first what needs no room and a micro-batch waits for
// (hidden states), then pages that a router has asked for, then what nobody has asked for yet:
// layer by layer, a micro-batch's keys and values, and pages by expert, so that all micro-batches
// claim a page one after the other. What finds no room holds up what is behind it, and nothing
// else. So of all that a micro-batch has claimed ahead nothing comes later in this order than
// something that it still lacks: it has what it needs, in this order, up to the last thing it has
// claimed, and can go on until it has used and released that.
constexpr int64_t load_rank(int layer) { return layer; }
constexpr int64_t asked_rank(int layer) { return models::kMaxLayers + layer; }
constexpr int64_t kv_rank(int layer) {
  return 2 * models::kMaxLayers + int64_t{layer} * (models::kMaxExperts + 1);
}
constexpr int64_t ahead_rank(int layer, int position) { return kv_rank(layer) + 1 + position; }
// Behind all of these, what a router may ask for. It is not claimed, so it holds nothing up.
constexpr int64_t guess_rank(int layer) { return kv_rank(models::kMaxLayers) + layer; }

// Whether at least one row of the round will choose this expert, with 90 % probability, if all
// micro-batches are alike: a page that moves serves them all.
bool likely(const Context& context, int layer, int expert);

class PagedExperts : public Builder {
 public:
  explicit PagedExperts(const PagedLanes& lanes = {}) : lanes_(lanes) {}

  void iteration(const Context& context, Subgraph& out) const override;
  void expand(const Context& context, const ExpansionPoint& point, const RoutingOutcome& outcome,
              Subgraph& out) const override;
  BuilderBounds bounds(const Context& context) const override;

 protected:
  Bounds expansion_bounds(const Context& context) const;
  // The transfers ahead of routing, of all layers.
  void add_ahead(const Context& context, Subgraph& out) const;
  Bounds ahead_bounds(const Context& context) const;

 private:
  // Those that are not kept, are moved before their layer is routed, and are not the host's.
  ExpertSet moved_ahead(const Context& context, int layer) const;
  // Whether this expert, which is not kept, is worth moving before its layer is routed.
  virtual bool ahead(const Context& context, int layer, int expert) const {
    return likely(context, layer, expert);
  }
  // Whether pages move while experts are computed; else each waits for the one before.
  virtual bool overlaps() const { return true; }

  PagedLanes lanes_;
};

}  // namespace sluice::schedule
