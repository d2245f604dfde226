// Time that goes on when nothing is left to do at its present moment.
//
// On one thread nobody can wait for anybody. So whoever would wait until some moment is told at
// once that it has not come, and the moment is kept as an alarm: whoever drives the simulation goes
// there, and asks again. A task that sleeps moves its own time on, and only its own.
#pragma once

#include <optional>
#include <set>

#include "base/clock.h"

namespace sluice::sim {

class VirtualClock final : public base::Clock {
 public:
  time_point now() const override { return own_ ? *own_ : now_; }
  void sleep_until(time_point until) const override;
  void wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& woken,
                  time_point until, const std::function<bool()>& ready) const override;

  void set_alarm(time_point at) const { alarms_.insert(at); }
  // The first alarm that has not come, if there is one.
  std::optional<time_point> next_alarm() const;
  // Never back.
  void go_to(time_point then);

  // What runs between the two believes that it is `start`; the end says when it is for it now.
  void begin_task(time_point start) { own_ = start; }
  time_point end_task();

  int64_t ns() const { return now().time_since_epoch().count(); }

 private:
  // A moment of some distance from the epoch, from which lanes' idle time is counted.
  time_point now_{std::chrono::seconds(1)};
  mutable std::optional<time_point> own_;
  mutable std::set<time_point> alarms_;
};

}  // namespace sluice::sim
