// Of a layer's experts that a device computes: which the host computes for it, as expected values.
#pragma once

#include "planner/hrm.h"
#include "planner/routing.h"

namespace sluice::planner {

struct ExpertSplit {
  // The first share of the experts, in order of use, is on the device, or on its way there, before
  // the layer is routed.
  double ahead = 1;
  // Of what is then found to be needed of the others, what the host computes: a share of the
  // experts that are hit, and of their tokens.
  double host_hits = 0;
  double host_tokens = 0;
  bool operator==(const ExpertSplit&) const = default;
};

// As the candidate says or, of plan::Place::kAuto, as a schedule will decide it of a micro-batch
// with this load: by the schedule's own functions (schedule/expert_place.h), which are told what
// they are expected to be told.
ExpertSplit expert_split(const Subject& subject, const Candidate& candidate, const LayerKind& kind,
                         const models::Load& load);

// Of such a layer's experts, the share that is on the device whenever they are asked for. Systems
// that are not ours keep the same ones for good.
double resident_share(const Subject& subject, const Candidate& candidate, const LayerKind& kind);

}  // namespace sluice::planner
