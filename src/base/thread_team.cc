#include "base/thread_team.h"

#include <chrono>

#include "base/affinity.h"
#include "base/check.h"

namespace sluice::base {
namespace {

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

}  // namespace

ThreadTeam::ThreadTeam(int threads, int spin_us) : spin_us_(spin_us) { start(threads); }

ThreadTeam::ThreadTeam(std::vector<int> cores) : cores_(std::move(cores)) {
  start(static_cast<int>(cores_.size()));
}

void ThreadTeam::start(int threads) {
  SLUICE_CHECK(threads >= 1, "a thread team has at least its caller");
  workers_.reserve(static_cast<size_t>(threads - 1));
  for (int member = 1; member < threads; ++member) {
    workers_.emplace_back([this, member] { work(member); });
  }
}

ThreadTeam::~ThreadTeam() {
  stop_.store(true);
  generation_.fetch_add(1);
  generation_.notify_all();
  for (auto& worker : workers_) worker.join();
  if (kept_caller_ == std::this_thread::get_id()) keep_on_cores(allowed_cores());
}

void ThreadTeam::run_raw(RawBody body, void* context) {
  if (workers_.empty()) return body(context, 0);
  body_ = body;
  context_ = context;
  running_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
  // Sequentially consistent with the sleeper's count: either it sees the new generation before it
  // sleeps, or this thread sees the sleeper and wakes it.
  generation_.fetch_add(1);
  if (sleepers_.load() > 0) generation_.notify_all();
  body(context, 0);
  // The others are at most one piece of work behind; yield when the machine has fewer cores than
  // members, or the last member may never be scheduled.
  for (int spins = 0; running_.load(std::memory_order_acquire) != 0; ++spins) {
    if (spins < 2000) {
      relax();
    } else {
      std::this_thread::yield();
    }
  }
}

bool ThreadTeam::wait_for(uint32_t seen) {
  using std::chrono::steady_clock;
  const auto until = steady_clock::now() + std::chrono::microseconds(spin_us_);
  for (;;) {
    for (int spins = 0; spins < 64; ++spins) {
      if (generation_.load(std::memory_order_acquire) != seen) return !stop_.load();
      relax();
    }
    if (steady_clock::now() >= until) break;
  }
  sleepers_.fetch_add(1);
  while (generation_.load() == seen) generation_.wait(seen);
  sleepers_.fetch_sub(1);
  return !stop_.load();
}

void ThreadTeam::keep_caller() {
  if (cores_.empty() || kept_caller_ == std::this_thread::get_id()) return;
  kept_caller_ = std::this_thread::get_id();
  keep_on_cores({cores_.front()});
}

void ThreadTeam::work(int member) {
  if (!cores_.empty()) keep_on_cores({cores_[static_cast<size_t>(member)]});
  uint32_t seen = 0;
  while (wait_for(seen)) {
    ++seen;
    body_(context_, member);
    running_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace sluice::base
