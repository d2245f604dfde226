#include "base/clock.h"

#include <thread>

namespace sluice::base {
namespace {

class SteadyClock final : public Clock {
 public:
  time_point now() const override { return std::chrono::steady_clock::now(); }
  void sleep_until(time_point until) const override { std::this_thread::sleep_until(until); }
  void wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& woken,
                  time_point until, const std::function<bool()>& ready) const override {
    woken.wait_until(lock, until, ready);
  }
};

}  // namespace

const Clock& steady_clock() {
  static const SteadyClock clock;
  return clock;
}

}  // namespace sluice::base
