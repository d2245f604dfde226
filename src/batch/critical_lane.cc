#include "batch/critical_lane.h"

#include <algorithm>

#include "batch/bars.h"

namespace sluice::batch {
namespace {

constexpr double kLeastShare = 0.005;  // of a wait that is worth a word

}  // namespace

double CriticalLane::busy_share() const {
  const double seconds = busy_seconds + bubble_seconds;
  return seconds > 0 ? busy_seconds / seconds : 0;
}

std::optional<CriticalLane> critical_lane(const engine::EngineStats& stats, double seconds) {
  const auto most = std::ranges::max_element(stats.lanes, {}, &engine::LaneStats::busy_seconds);
  if (most->busy_seconds <= 0) return std::nullopt;
  CriticalLane critical{.lane = static_cast<schedule::Lane>(most - stats.lanes.begin()),
                        .busy_seconds = most->busy_seconds,
                        .bubble_seconds = std::max(seconds - most->busy_seconds, 0.0)};
  double before = critical.bubble_seconds - most->end_seconds - most->idle_seconds;
  const auto add = [&](std::string what, double waited) {
    if (waited > 0) critical.waits.push_back({std::move(what), waited});
  };
  for (size_t i = 0; i < most->waited_seconds.size(); ++i) {
    add(name(static_cast<schedule::Lane>(i)), most->waited_seconds[i]);
    before -= most->waited_seconds[i];
  }
  // Also what has passed before the engine had its first request.
  add("its first task", before);
  add("the end", most->end_seconds);
  add("something ready", most->idle_seconds);
  std::ranges::sort(critical.waits, std::ranges::greater{}, &CriticalLane::Wait::seconds);
  return critical;
}

std::string busy_text(const CriticalLane& critical) {
  return std::string("the ") + name(critical.lane) + " lane was busy " +
         percent(critical.busy_share()) + " of the time";
}

std::string bubble_text(const CriticalLane& critical) {
  const double seconds = critical.busy_seconds + critical.bubble_seconds;
  std::string text;
  for (const CriticalLane::Wait& wait : critical.waits) {
    if (wait.seconds < kLeastShare * seconds) continue;
    text += (text.empty() ? "the rest it waited for " : ", ") + wait.what + " (" +
            percent(wait.seconds / seconds) + ")";
  }
  return text;
}

}  // namespace sluice::batch
