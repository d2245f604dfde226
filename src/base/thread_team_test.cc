#include "base/thread_team.h"

#include <gtest/gtest.h>

#include <chrono>

namespace sluice::base {
namespace {

TEST(ThreadTeam, RunsEveryMemberOncePerRun) {
  for (int threads : {1, 2, 3, 8}) {
    ThreadTeam team(threads, /*spin_us=*/10);
    std::vector<int> counts(static_cast<size_t>(threads), 0);
    for (int round = 0; round < 500; ++round)
      team.run([&](int m) { ++counts[static_cast<size_t>(m)]; });
    for (int count : counts) EXPECT_EQ(count, 500);
  }
}

TEST(ThreadTeam, ParallelForCoversEveryIndexOnce) {
  ThreadTeam team(4, 10);
  for (int64_t n : {0, 1, 2, 3, 7, 1000}) {
    std::vector<std::atomic<int>> hits(static_cast<size_t>(n));
    team.parallel_for(n, [&](int64_t i) { hits[static_cast<size_t>(i)].fetch_add(1); });
    for (auto& hit : hits) EXPECT_EQ(hit.load(), 1);
  }
}

TEST(ThreadTeam, WakesAfterSleeping) {
  ThreadTeam team(3, /*spin_us=*/0);
  std::atomic<int> total{0};
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    team.run([&](int) { total.fetch_add(1); });
  }
  EXPECT_EQ(total.load(), 60);
}

}  // namespace
}  // namespace sluice::base
