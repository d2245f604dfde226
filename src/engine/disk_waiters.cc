// Tasks that wait for what the disk lane reads and writes, each to a limit.
#include <algorithm>

#include "engine/disk_runner.h"

namespace sluice::engine {

int DiskRunner::outlived() const {
  const auto loads = std::ranges::count_if(loads_, [&](const Load& load) {
    return load.used && std::ranges::none_of(waiters_, [&](const Waiter& waiter) {
             return waiter.page == load.page;
           });
  });
  return static_cast<int>(loads) + (kv_ != nullptr ? kv_->outlived() : 0);
}

Result<pipeline::AsyncTaskRunner::Start> DiskRunner::start_kv(const schedule::Task& task,
                                                              size_t flight, uint64_t token) {
  const bool again = flights_ != nullptr && progress_of(task) <= (*flights_)[flight].done_before;
  const bool comes = task.transfer()->to == schedule::Level::kHost;
  const int part = task.transfer()->part;
  SLUICE_ASSIGN(const Start start, comes ? kv_->arrive(flight, task.layer, !again, part)
                                         : kv_->leave(flight, task.layer, !again, part));
  if (start == Start::kStarted) {
    wait_for({schedule::Payload::kKv, kv_->window_of(flight, task.layer, part)}, token);
  }
  return start;
}

void DiskRunner::wait_for(DiskPage page, uint64_t token) {
  waiters_.push_back({page, token, clock_.now() + timeout_});
}

// Until the first patience ends, if that is sooner.
int64_t DiskRunner::poll_ms(int64_t timeout_ms) const {
  const base::Clock::time_point now = clock_.now();
  const auto look_again = [&](base::Clock::time_point then) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(then - now).count();
    timeout_ms = std::clamp<int64_t>(left, 0, timeout_ms);
  };
  for (const Waiter& waiter : waiters_) look_again(waiter.until);
  // One whose time has come is asked again whenever this lane looks.
  const auto waits = kv_ != nullptr ? kv_->waits_until() : std::nullopt;
  if (waits && *waits > now) look_again(*waits);
  return timeout_ms;
}

void DiskRunner::end_overdue() {
  const base::Clock::time_point now = clock_.now();
  std::erase_if(waiters_, [&](const Waiter& waiter) {
    if (waiter.until > now) return false;
    if (waiter.page.kind == schedule::Payload::kKv) {
      kv_->give_up(waiter.page.id);
    } else {
      pages(waiter.page).doubt(waiter.page.id);
      if (Load* const load = load_of(waiter.page)) end_work(*load);
    }
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
