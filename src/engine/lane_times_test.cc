#include "engine/lane_times.h"

#include <gtest/gtest.h>

#include <numeric>

namespace sluice::engine {
namespace {

using schedule::Lane;

LaneTimes::Time at(double seconds) {
  return LaneTimes::Time(std::chrono::duration_cast<base::Clock::duration>(
      std::chrono::duration<double>(1000 + seconds)));
}

LaneStats of(const std::array<LaneStats, schedule::kLanes>& all, Lane lane) {
  return all[static_cast<size_t>(lane)];
}

double whole(const LaneStats& lane) {
  return std::accumulate(
      lane.waited_seconds.begin(), lane.waited_seconds.end(),
      lane.busy_seconds + lane.start_seconds + lane.end_seconds + lane.idle_seconds);
}

// host        ..====.====...
// disk        .==.....==....
TEST(LaneTimes, SayWhatEachLaneWaitedFor) {
  LaneTimes times;
  times.start(at(0));
  times.begin(Lane::kDisk, at(1));
  times.begin(Lane::kHostCompute, at(2));
  times.end(Lane::kDisk, at(3));
  times.end(Lane::kHostCompute, at(6));
  times.begin(Lane::kHostCompute, at(7));
  times.begin(Lane::kDisk, at(8));
  times.end(Lane::kDisk, at(10));
  times.end(Lane::kHostCompute, at(11));
  const auto all = times.stats(at(14));
  const LaneStats disk = of(all, Lane::kDisk), host = of(all, Lane::kHostCompute);
  EXPECT_DOUBLE_EQ(disk.busy_seconds, 4);
  EXPECT_DOUBLE_EQ(disk.start_seconds, 1);
  EXPECT_DOUBLE_EQ(disk.waited_seconds[static_cast<size_t>(Lane::kHostCompute)], 4);
  EXPECT_DOUBLE_EQ(disk.idle_seconds, 1);
  EXPECT_DOUBLE_EQ(disk.end_seconds, 4);
  EXPECT_DOUBLE_EQ(host.busy_seconds, 8);
  EXPECT_DOUBLE_EQ(host.start_seconds, 2);
  EXPECT_DOUBLE_EQ(host.idle_seconds, 1);
  EXPECT_DOUBLE_EQ(host.end_seconds, 3);
  EXPECT_DOUBLE_EQ(whole(disk), 14);
  EXPECT_DOUBLE_EQ(whole(host), 14);
  EXPECT_FALSE(of(all, Lane::kDeviceCompute).present);
}

TEST(LaneTimes, ALaneWorksUntilItsLastPieceHasEnded) {
  LaneTimes times;
  times.start(at(0));
  times.begin(Lane::kDisk, at(0));
  times.begin(Lane::kDisk, at(1));
  times.end(Lane::kDisk, at(2));
  EXPECT_DOUBLE_EQ(of(times.stats(at(3)), Lane::kDisk).busy_seconds, 3);
  times.end(Lane::kDisk, at(4));
  EXPECT_DOUBLE_EQ(of(times.stats(at(5)), Lane::kDisk).busy_seconds, 4);
}

// Several others at work: the one it needs is most likely the one that computes.
TEST(LaneTimes, ALaneWaitsForComputeBeforeTransfers) {
  LaneTimes times;
  times.start(at(0));
  for (const Lane lane : {Lane::kDeviceToHost, Lane::kHostToDevice, Lane::kHostCompute})
    times.begin(lane, at(0));
  times.end(Lane::kHostToDevice, at(1));
  times.begin(Lane::kHostToDevice, at(3));
  EXPECT_DOUBLE_EQ(of(times.stats(at(3)), Lane::kHostToDevice)
                       .waited_seconds[static_cast<size_t>(Lane::kHostCompute)],
                   2);
}

TEST(LaneTimes, AMomentThatIsToldLateTakesNothingBack) {
  LaneTimes times;
  times.start(at(0));
  times.begin(Lane::kHostCompute, at(2));
  times.begin(Lane::kDisk, at(1));
  times.end(Lane::kDisk, at(1.5));
  times.end(Lane::kHostCompute, at(3));
  const auto all = times.stats(at(1));
  EXPECT_DOUBLE_EQ(of(all, Lane::kHostCompute).busy_seconds, 1);
  EXPECT_DOUBLE_EQ(of(all, Lane::kDisk).busy_seconds, 0);
  EXPECT_DOUBLE_EQ(whole(of(all, Lane::kDisk)), 3);
}

// Two guesses, of which one becomes work: the lane's time is parted as if there were none.
TEST(LaneTimes, GuessesAreNoWorkAndHaveTheirOwnTime) {
  LaneTimes times;
  times.start(at(0));
  times.begin(Lane::kDisk, at(1), Work::kGuess);
  times.begin(Lane::kDisk, at(2), Work::kGuess);
  times.end(Lane::kDisk, at(4), Work::kGuess);
  times.begin(Lane::kDisk, at(4));
  times.end(Lane::kDisk, at(7));
  times.end(Lane::kDisk, at(9), Work::kGuess);
  const LaneStats disk = of(times.stats(at(10)), Lane::kDisk);
  EXPECT_DOUBLE_EQ(disk.guess_seconds, 5);
  EXPECT_DOUBLE_EQ(disk.start_seconds, 4);
  EXPECT_DOUBLE_EQ(disk.busy_seconds, 3);
  EXPECT_DOUBLE_EQ(disk.end_seconds, 3);
  EXPECT_DOUBLE_EQ(whole(disk), 10);
}

TEST(LaneTimes, NothingHasPassedBeforeTheStart) {
  LaneTimes times;
  EXPECT_DOUBLE_EQ(whole(of(times.stats(at(5)), Lane::kDisk)), 0);
  times.start(at(6));
  times.start(at(7));
  EXPECT_DOUBLE_EQ(of(times.stats(at(8)), Lane::kDisk).start_seconds, 2);
}

}  // namespace
}  // namespace sluice::engine
