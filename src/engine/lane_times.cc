#include "engine/lane_times.h"

#include <algorithm>

#include "base/check.h"

namespace sluice::engine {

void LaneTimes::start(Time now) {
  const std::lock_guard lock(mutex_);
  if (!now_) now_ = now;
}

void LaneTimes::begin(schedule::Lane lane, Time now, Work work) {
  const std::lock_guard lock(mutex_);
  go_to(now);
  State& state = lanes_[static_cast<size_t>(lane)];
  if (work == Work::kGuess) {
    ++state.guessing;
    return;
  }
  if (state.working++ > 0) return;
  // What it has waited was not the end.
  state.stats.present = true;
  state.stats.idle_seconds += state.since.idle_seconds;
  for (size_t i = 0; i < lanes_.size(); ++i)
    state.stats.waited_seconds[i] += state.since.waited_seconds[i];
  state.since = {};
}

void LaneTimes::end(schedule::Lane lane, Time now, Work work) {
  const std::lock_guard lock(mutex_);
  go_to(now);
  State& state = lanes_[static_cast<size_t>(lane)];
  int& pieces = work == Work::kGuess ? state.guessing : state.working;
  SLUICE_CHECK(pieces > 0, "work ends once, after it has begun");
  --pieces;
}

// Nobody has begun or ended anything since now_.
void LaneTimes::go_to(Time now) {
  if (!now_) now_ = now;
  const double passed = base::seconds(std::max(now, *now_) - *now_);
  now_ = std::max(now, *now_);
  const auto worker =
      std::ranges::find_if(lanes_, [](const State& state) { return state.working > 0; });
  for (State& state : lanes_) {
    if (state.working == 0 && state.guessing > 0) state.stats.guess_seconds += passed;
    if (state.working > 0) {
      state.stats.busy_seconds += passed;
    } else if (!state.stats.present) {
      state.stats.start_seconds += passed;
    } else if (worker == lanes_.end()) {
      state.since.idle_seconds += passed;
    } else {
      state.since.waited_seconds[static_cast<size_t>(worker - lanes_.begin())] += passed;
    }
  }
}

std::array<LaneStats, schedule::kLanes> LaneTimes::stats(Time now) {
  const std::lock_guard lock(mutex_);
  if (now_) go_to(now);
  std::array<LaneStats, schedule::kLanes> all;
  for (size_t i = 0; i < lanes_.size(); ++i) {
    const LaneStats& since = lanes_[i].since;
    all[i] = lanes_[i].stats;
    all[i].end_seconds = since.idle_seconds;
    for (const double waited : since.waited_seconds) all[i].end_seconds += waited;
  }
  return all;
}

}  // namespace sluice::engine
