#include "device/pace.h"

namespace sluice::device {
namespace {

// Later than this after the last slot's end, a lane has been idle, not late.
constexpr auto kWakeUp = std::chrono::microseconds(500);

}  // namespace

void Pace::begin() {
  work_begin_ = clock_.now();
  begin_ = work_begin_ - last_end_ < kWakeUp ? last_end_ : work_begin_;
}

Pace::Clock::time_point Pace::end_of(int64_t slot_ns) {
  const Clock::time_point now = clock_.now();
  const auto slot = std::chrono::nanoseconds(slot_ns);
  const int64_t work_ns = (now - work_begin_).count();
  ++slots_;
  slot_ns_ += slot_ns;
  work_ns_ += work_ns;
  if (work_ns * 2 > slot_ns) {
    ++crowded_;
    crowded_ns_ += work_ns;
  }
  last_end_ = begin_ + slot < now ? now : begin_ + slot;
  return last_end_;
}

void Pace::end(int64_t slot_ns) { clock_.sleep_until(end_of(slot_ns)); }

PaceStats Pace::stats() const {
  return {.slots = slots_,
          .slot_seconds = static_cast<double>(slot_ns_) * 1e-9,
          .work_seconds = static_cast<double>(work_ns_) * 1e-9,
          .crowded = crowded_,
          .crowded_seconds = static_cast<double>(crowded_ns_) * 1e-9};
}

}  // namespace sluice::device
