#include "batch/critical_lane.h"

#include <gtest/gtest.h>

#include "batch/report.h"

namespace sluice::batch {
namespace {

using schedule::Lane;

engine::LaneStats& lane(engine::EngineStats& stats, Lane which) {
  return stats.lanes[static_cast<size_t>(which)];
}

// Of ten seconds; the engine knows of 9.8, since the first iteration.
engine::EngineStats disk_bound() {
  engine::EngineStats stats;
  lane(stats, Lane::kHostCompute) = {.present = true, .busy_seconds = 2, .idle_seconds = 7.8};
  engine::LaneStats& disk = lane(stats, Lane::kDisk);
  disk = {.present = true,
          .busy_seconds = 9,
          .start_seconds = 0.1,
          .end_seconds = 0.04,
          .idle_seconds = 0.16};
  disk.waited_seconds[static_cast<size_t>(Lane::kHostCompute)] = 0.5;
  return stats;
}

TEST(CriticalLane, IsTheOneWithTheMostPlannedWork) {
  const auto critical = critical_lane(disk_bound(), 10);
  ASSERT_TRUE(critical.has_value());
  EXPECT_EQ(critical->lane, Lane::kDisk);
  EXPECT_DOUBLE_EQ(critical->busy_share(), 0.9);
  EXPECT_DOUBLE_EQ(critical->bubble_seconds, 1);
  EXPECT_FALSE(critical_lane({}, 10).has_value());
}

TEST(CriticalLane, ItsWaitsAreTheWholeBubble) {
  const auto critical = critical_lane(disk_bound(), 10);
  double waited = 0;
  for (const CriticalLane::Wait& wait : critical->waits) waited += wait.seconds;
  EXPECT_NEAR(waited, critical->bubble_seconds, 1e-12);
  EXPECT_EQ(busy_text(*critical), "the disk lane was busy 90 % of the time");
  // What passed before the first iteration too was for the first task; 0.04 s is not worth a word.
  EXPECT_EQ(bubble_text(*critical),
            "the rest it waited for host compute (5.0 %), its first task (3.0 %), something ready "
            "(1.6 %)");
}

TEST(CriticalLane, ALaneThatNeverWaitedHasNoBubble) {
  engine::EngineStats stats;
  lane(stats, Lane::kHostToDevice) = {.present = true, .busy_seconds = 3.999};
  const auto critical = critical_lane(stats, 4);
  EXPECT_EQ(busy_text(*critical), "the host to device lane was busy 100 % of the time");
  EXPECT_EQ(bubble_text(*critical), "");
}

TEST(CriticalLane, IsInTheReport) {
  ReportInput input;
  input.stats = disk_bound();
  input.state.seconds = 10;
  const auto critical = critical_lane(input.stats, 10);
  const std::string text = report_text(input, 100);
  EXPECT_NE(text.find("  what bound the run\n    lane          " + busy_text(*critical) +
                      "\n                  " + bubble_text(*critical) + "\n"),
            std::string::npos)
      << text;
  const Json json = report_json(input);
  EXPECT_EQ(json["critical_lane"]["lane"], "disk");
  EXPECT_EQ(json["critical_lane"]["sentence"],
            busy_text(*critical) + "; " + bubble_text(*critical));
  EXPECT_EQ(json["critical_lane"]["waited_seconds_for"]["the end"], 0.04);
  EXPECT_EQ(json["lanes"]["disk"]["busy_seconds"], 9.0);
  EXPECT_FALSE(json["lanes"].contains("device compute"));
}

}  // namespace
}  // namespace sluice::batch
