// A persistent team of threads for one compute lane. The calling thread is member 0; the others
// spin briefly for the next piece of work and then sleep, so that a token on a CPU does not pay a
// wake-up for every stage, and an idle engine does not burn a core.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

namespace sluice::base {

class ThreadTeam {
 public:
  static constexpr int kSpinMicroseconds = 200;

  // `threads` >= 1 counts the caller. Workers spin about `spin_us` before they sleep.
  explicit ThreadTeam(int threads, int spin_us = kSpinMicroseconds);
  // Member m stays on cores[m]: the workers at once, the caller when it calls keep_caller(). On a
  // machine that others use, the system may else keep two members on one core for seconds while
  // something of little weight runs on the other.
  explicit ThreadTeam(std::vector<int> cores);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  // Puts the calling thread on its core, if the team has cores; the destructor lets it go again, if
  // called by the same thread. Cheap when that is done.
  void keep_caller();

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Runs body(member) once on every member and returns when all have finished. Not reentrant; one
  // caller at a time. Never allocates.
  template <class Body>
  void run(Body&& body) {
    auto* address = std::addressof(body);
    run_raw([](void* context, int member) { (*static_cast<decltype(address)>(context))(member); },
            const_cast<void*>(static_cast<const void*>(address)));
  }

  // Runs body(index) for every index in [0, count), handed out one at a time in order; which member
  // takes which is not defined, so bodies must not depend on it. Small counts run on the caller.
  template <class Body>
  void parallel_for(int64_t count, Body&& body) {
    struct Nothing {};
    parallel_for(count, Nothing{}, [&](Nothing&, int64_t i) { body(i); });
  }

  // Runs body(own, index): `own` is a copy of `start` that belongs to one member, whose indices
  // ascend. For what is found by going on from the index before.
  template <class Own, class Body>
  void parallel_for(int64_t count, const Own& start, Body&& body) {
    if (count <= 1 || workers_.empty()) {
      Own own = start;
      for (int64_t i = 0; i < count; ++i) body(own, i);
      return;
    }
    next_.store(0, std::memory_order_relaxed);
    run([&](int) {
      Own own = start;
      for (int64_t i = next_.fetch_add(1, std::memory_order_relaxed); i < count;
           i = next_.fetch_add(1, std::memory_order_relaxed)) {
        body(own, i);
      }
    });
  }

 private:
  using RawBody = void (*)(void* context, int member);
  void start(int threads);
  void run_raw(RawBody body, void* context);
  void work(int member);
  bool wait_for(uint32_t seen);

  std::vector<std::thread> workers_;
  alignas(64) std::atomic<uint32_t> generation_{0};  // odd bit unused; bumped once per run
  alignas(64) std::atomic<int> running_{0};          // workers still inside the current body
  alignas(64) std::atomic<int64_t> next_{0};         // parallel_for's next index
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stop_{false};
  std::vector<int> cores_;  // by member; may be empty
  std::thread::id kept_caller_;
  RawBody body_ = nullptr;
  void* context_ = nullptr;
  int spin_us_ = kSpinMicroseconds;
};

}  // namespace sluice::base
