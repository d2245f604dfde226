// The critical lane of a run, and its bubble: what the run could not have been faster than, and why
// it was slower.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/stats.h"

namespace sluice::batch {

// Of the lanes that worked the one with the most planned work, in seconds.
struct CriticalLane {
  schedule::Lane lane{};
  double busy_seconds = 0;    // of planned work
  double bubble_seconds = 0;  // the rest of the run
  struct Wait {
    std::string what;  // "host compute", "its first task", "the end", "something ready"
    double seconds = 0;
  };
  std::vector<Wait> waits;  // the bubble's parts, longest first

  double busy_share() const;
};

// `seconds`: the whole run's, the time before the first iteration included. Nothing where no lane
// has worked.
std::optional<CriticalLane> critical_lane(const engine::EngineStats& stats, double seconds);

// "the disk lane was busy 93 % of the time" and "the rest it waited for host compute (7.0 %)"; the
// second is empty where nothing of the bubble is worth naming (half a percent).
std::string busy_text(const CriticalLane& critical);
std::string bubble_text(const CriticalLane& critical);

}  // namespace sluice::batch
