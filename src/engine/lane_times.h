// Who worked when: the time that each lane had planned work under way, and what it waited for in
// the rest.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>

#include "base/clock.h"
#include "engine/stats.h"

namespace sluice::engine {

// Lanes say when planned work of theirs begins and ends; how else they pass their time (looking for
// room, a read done again) is no work. From any thread. A moment before the last one that was told
// counts as that one: lanes read the clock before they come here.
class LaneTimes {
 public:
  using Time = base::Clock::time_point;

  // From here on there is something to wait for. The first call counts.
  void start(Time now);
  // A lane may have several pieces of work under way; it works until the last has ended.
  void begin(schedule::Lane lane, Time now);
  void end(schedule::Lane lane, Time now);

  // By Lane, of the time from start() to `now`.
  std::array<LaneStats, schedule::kLanes> stats(Time now);

 private:
  struct State {
    int working = 0;  // pieces of work under way
    LaneStats stats;
    LaneStats since;  // its last work ended: only its idle and waited seconds
  };
  void go_to(Time now);

  std::mutex mutex_;
  std::optional<Time> now_;
  std::array<State, schedule::kLanes> lanes_;
};

}  // namespace sluice::engine
