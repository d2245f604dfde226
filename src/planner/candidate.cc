#include "planner/candidate.h"

#include <array>

#include "base/check.h"

namespace sluice::planner {
namespace {

using plan::Place;

constexpr std::array kKinds = {
    ScheduleKind{"resident", false, false, Place::kHost, Overlap::kAll, false},
    ScheduleKind{"layer_stream", false, true, Place::kHost, Overlap::kAll, false},
    ScheduleKind{"cgopipe", true, true, Place::kHost, Overlap::kAll, false, true},
    ScheduleKind{"kv_prefetch", true, true, Place::kDevice, Overlap::kAll, false, true},
    ScheduleKind{"serial", true, true, Place::kHost, Overlap::kNone, false, true},
    // Of the paper's systems, which compute all prompts of a batch before they decode.
    ScheduleKind{"moe_lightning", true, true, Place::kHost, Overlap::kAll, true, false,
                 Staging::kBeside, HostAttention::kInPlace, 64},
    ScheduleKind{"flexgen", true, true, Place::kDevice, Overlap::kSteps, true, false,
                 Staging::kBefore},
    ScheduleKind{"flexgen_c", true, true, Place::kHost, Overlap::kSteps, true, false,
                 Staging::kBefore, HostAttention::kExpanded},
    ScheduleKind{"zero_inference", true, true, Place::kDevice, Overlap::kAll, true},
};

}  // namespace

const char* words(plan::Place experts_on) {
  switch (experts_on) {
    case Place::kDevice:
      return "on the device";
    case Place::kHost:
      return "on the host";
    case Place::kAuto:
      return "where each is sooner";
  }
  base::check_failed("known place", "a Place outside its enum", __FILE__, __LINE__);
}

std::span<const ScheduleKind> schedule_kinds() { return kKinds; }

const ScheduleKind* find_schedule(std::string_view name) {
  for (const ScheduleKind& kind : kKinds)
    if (name == kind.name) return &kind;
  return nullptr;
}

}  // namespace sluice::planner
