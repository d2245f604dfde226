// Keeps a lane of an emulated machine to that machine's speed: every piece of work takes the time
// that it would take there, however fast it is done here.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/clock.h"

namespace sluice::device {

// What a lane's slots were like. An emulation says something only if real work leaves room in them.
struct PaceStats {
  int64_t slots = 0;
  double slot_seconds = 0;
  double work_seconds = 0;  // of real work within them
  // Of the slots whose work took more than half of their time.
  int64_t crowded = 0;
  double crowded_seconds = 0;  // their work
};

// One lane's. begin() and end() by one thread at a time, in turns.
class Pace {
 public:
  using Clock = base::Clock;

  explicit Pace(const Clock& clock = base::steady_clock()) : clock_(clock) {}

  // A piece of work begins: now, or when the slot before it ended, if that was a moment ago. The
  // time by which the system wakes a thread too late so does not add up.
  void begin();
  // It takes `slot_ns` from its beginning: waits for what is left of it.
  void end(int64_t slot_ns);
  // The same without waiting: when its slot ends.
  Clock::time_point end_of(int64_t slot_ns);

  PaceStats stats() const;  // from any thread

 private:
  const Clock& clock_;
  Clock::time_point begin_{};       // of the slot
  Clock::time_point work_begin_{};  // of the real work
  Clock::time_point last_end_{};
  std::atomic<int64_t> slots_{0}, slot_ns_{0}, work_ns_{0}, crowded_{0}, crowded_ns_{0};
};

}  // namespace sluice::device
