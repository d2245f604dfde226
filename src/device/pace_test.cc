#include "device/pace.h"

#include <gtest/gtest.h>

#include <thread>

namespace sluice::device {
namespace {

using std::chrono::milliseconds;

double seconds_since(Pace::Clock::time_point start) {
  return std::chrono::duration<double>(base::steady_clock().now() - start).count();
}

TEST(Pace, GivesWorkTheTimeOfItsSlot) {
  Pace pace;
  const auto start = base::steady_clock().now();
  pace.begin();
  pace.end(20'000'000);
  EXPECT_GE(seconds_since(start), 0.020);
}

// 200 slots of 0.5 ms: if each woke up 0.1 ms too late and that added up, it would be 0.12 s.
TEST(Pace, DoesNotAddUpWhatItWakesUpTooLate) {
  Pace pace;
  const auto start = base::steady_clock().now();
  for (int i = 0; i < 200; ++i) {
    pace.begin();
    pace.end(500'000);
  }
  EXPECT_GE(seconds_since(start), 0.0999);
  EXPECT_EQ(pace.stats().slots, 200);
  EXPECT_NEAR(pace.stats().slot_seconds, 0.1, 1e-9);
}

TEST(Pace, BeginsAnewAfterAnIdleTime) {
  Pace pace;
  pace.begin();
  pace.end(1'000'000);
  std::this_thread::sleep_for(milliseconds(20));
  const auto start = base::steady_clock().now();
  pace.begin();
  pace.end(5'000'000);
  EXPECT_GE(seconds_since(start), 0.005);
}

TEST(Pace, SaysWhenTheRealWorkLeavesNoRoom) {
  Pace idle, busy;
  idle.begin();
  idle.end(2'000'000);
  EXPECT_EQ(idle.stats().crowded, 0);
  busy.begin();
  std::this_thread::sleep_for(milliseconds(4));
  busy.end(2'000'000);
  EXPECT_EQ(busy.stats().crowded, 1);
  EXPECT_GE(busy.stats().crowded_seconds, 0.004);
  busy.begin();
  std::this_thread::sleep_for(milliseconds(2));
  busy.end(3'000'000);
  EXPECT_EQ(busy.stats().crowded, 2);
}

}  // namespace
}  // namespace sluice::device
