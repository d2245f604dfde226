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

// What a lane is told to do is planned, or a guess, which is no lane's work: whether it was any is
// known when it is over.
enum class Work : uint8_t { kPlanned, kGuess };

// Lanes say when work of theirs begins and ends; how else they pass their time (looking for room, a
// read done again) is none. From any thread. A moment before the last one that was told counts as
// that one: lanes read the clock before they come here.
class LaneTimes {
 public:
  using Time = base::Clock::time_point;

  // From here on there is something to wait for. The first call counts.
  void start(Time now);
  // A lane may have several pieces of work under way; it works until the last has ended.
  void begin(schedule::Lane lane, Time now, Work work = Work::kPlanned);
  void end(schedule::Lane lane, Time now, Work work = Work::kPlanned);

  // By Lane, of the time from start() to `now`.
  std::array<LaneStats, schedule::kLanes> stats(Time now);

 private:
  struct State {
    int working = 0, guessing = 0;  // pieces of planned work under way, and guesses
    LaneStats stats;
    LaneStats since;  // its last work ended: only its idle and waited seconds
  };
  void go_to(Time now);

  std::mutex mutex_;
  std::optional<Time> now_;
  std::array<State, schedule::kLanes> lanes_;
};

}  // namespace sluice::engine
