#include "sim/virtual_clock.h"

#include <algorithm>

namespace sluice::sim {

void VirtualClock::sleep_until(time_point until) const {
  if (own_) own_ = std::max(*own_, until);
}

void VirtualClock::wait_until(std::unique_lock<std::mutex>&, std::condition_variable&,
                              time_point until, const std::function<bool()>& ready) const {
  if (!ready()) set_alarm(until);
}

std::optional<VirtualClock::time_point> VirtualClock::next_alarm() const {
  if (alarms_.empty()) return std::nullopt;
  return *alarms_.begin();
}

void VirtualClock::go_to(time_point then) {
  now_ = std::max(now_, then);
  alarms_.erase(alarms_.begin(), alarms_.upper_bound(now_));
}

VirtualClock::time_point VirtualClock::end_task() {
  const time_point end = *own_;
  own_.reset();
  return end;
}

}  // namespace sluice::sim
