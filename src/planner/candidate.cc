#include "planner/candidate.h"

#include <array>

namespace sluice::planner {
namespace {

using plan::Place;

constexpr std::array kKinds = {
    ScheduleKind{"resident", false, false, Place::kHost, Overlap::kAll, false},
    ScheduleKind{"layer_stream", false, true, Place::kHost, Overlap::kAll, false},
    ScheduleKind{"cgopipe", true, true, Place::kHost, Overlap::kAll, false},
    ScheduleKind{"kv_prefetch", true, true, Place::kDevice, Overlap::kAll, false},
    ScheduleKind{"serial", true, true, Place::kHost, Overlap::kNone, false},
    // Of the paper's systems, which compute all prompts of a batch before they decode.
    ScheduleKind{"moe_lightning", true, true, Place::kHost, Overlap::kAll, true, Staging::kBeside,
                 HostAttention::kInPlace, 64},
    ScheduleKind{"flexgen", true, true, Place::kDevice, Overlap::kSteps, true, Staging::kBefore},
    ScheduleKind{"flexgen_c", true, true, Place::kHost, Overlap::kSteps, true, Staging::kBefore,
                 HostAttention::kExpanded},
    ScheduleKind{"zero_inference", true, true, Place::kDevice, Overlap::kAll, true},
};

}  // namespace

std::span<const ScheduleKind> schedule_kinds() { return kKinds; }

const ScheduleKind* find_schedule(std::string_view name) {
  for (const ScheduleKind& kind : kKinds)
    if (name == kind.name) return &kind;
  return nullptr;
}

}  // namespace sluice::planner
