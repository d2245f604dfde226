// The clock that waits and times go by. Whoever needs one is given it; a simulation gives one whose
// time is virtual.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>

namespace sluice::base {

class Clock {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  using duration = std::chrono::steady_clock::duration;

  virtual ~Clock() = default;

  // Monotonic; from no particular moment. From any thread.
  virtual time_point now() const = 0;
  virtual void sleep_until(time_point until) const = 0;
  // Until `ready` holds, asked under `lock` whenever `woken` is notified, or `until` has come.
  virtual void wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& woken,
                          time_point until, const std::function<bool()>& ready) const = 0;
};

// The machine's own.
const Clock& steady_clock();

inline double seconds(Clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace sluice::base
