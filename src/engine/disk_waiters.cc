// Tasks that wait for reads of the disk lane, each to a limit.
#include <algorithm>

#include "engine/disk_runner.h"

namespace sluice::engine {

using Clock = base::Clock;

int DiskRunner::outlived() const {
  return static_cast<int>(std::ranges::count_if(loads_, [&](const Load& load) {
    return load.used && std::ranges::none_of(waiters_, [&](const Waiter& waiter) {
             return waiter.page == load.page;
           });
  }));
}

void DiskRunner::wait_for(DiskPage page, uint64_t token) {
  waiters_.push_back({page, token, clock_.now() + timeout_});
}

// Until the first waiter's patience ends, if that is sooner.
int64_t DiskRunner::poll_ms(int64_t timeout_ms) const {
  const Clock::time_point now = clock_.now();
  for (const Waiter& waiter : waiters_) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(waiter.until - now).count();
    timeout_ms = std::clamp<int64_t>(left, 0, timeout_ms);
  }
  return timeout_ms;
}

void DiskRunner::end_overdue() {
  const Clock::time_point now = clock_.now();
  std::erase_if(waiters_, [&](const Waiter& waiter) {
    if (waiter.until > now) return false;
    pages(waiter.page).doubt(waiter.page.id);
    if (Load* const load = load_of(waiter.page)) end_work(*load);
    ended_.push_back(
        {waiter.token, Error{ErrorCode::kTimeout, place(waiter.page) + ", has not come within " +
                                                      std::to_string(timeout_.count()) +
                                                      " ms (disk_timeout_ms); check the disk"}});
    return true;
  });
}

void DiskRunner::end_waiters(DiskPage page, const Status& status) {
  std::erase_if(waiters_, [&](const Waiter& waiter) {
    if (waiter.page != page) return false;
    ended_.push_back({waiter.token, status});
    return true;
  });
}

}  // namespace sluice::engine
