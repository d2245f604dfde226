#include "planner/overlap.h"

#include <algorithm>

namespace sluice::planner {
namespace {

using schedule::Lane;

double at(const Pass& pass, Lane lane) { return pass.lanes[static_cast<size_t>(lane)]; }

// Each micro-batch's attention is a step, then each one's experts.
double in_steps(double micro_batches, const PassParts& parts, const Pass& pass) {
  const double up = at(pass, Lane::kHostToDevice) - parts.weights_up;
  const double down = at(pass, Lane::kDeviceToHost);
  const double rest = computing_seconds(pass) - parts.staging - parts.attention;
  const double first = std::max({parts.weights_up + up / micro_batches, down / micro_batches,
                                 parts.attention / micro_batches});
  const double others = (1 - 1 / micro_batches) * std::max({up, down, parts.attention});
  return parts.staging + first + others + rest;
}

}  // namespace

double computing_seconds(const Pass& pass) {
  return at(pass, Lane::kDeviceCompute) + at(pass, Lane::kHostCompute);
}

void lay_beside(Overlap overlap, double micro_batches, const PassParts& parts, Pass& pass) {
  const auto busiest = std::max_element(pass.lanes.begin(), pass.lanes.end());
  pass.bound = static_cast<Lane>(busiest - pass.lanes.begin());
  switch (overlap) {
    case Overlap::kAll:
      pass.seconds = *busiest;
      pass.floor_seconds = std::max(at(pass, Lane::kHostCompute), at(pass, Lane::kDisk));
      return;
    case Overlap::kNone:
      pass.seconds = 0;
      for (const double seconds : pass.lanes) pass.seconds += seconds;
      return;
    case Overlap::kSteps:
      pass.seconds = std::max(in_steps(micro_batches, parts, pass), *busiest);
      return;
  }
}

}  // namespace sluice::planner
