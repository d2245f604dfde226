#include "base/thread_team.h"

#include <gtest/gtest.h>

#include <chrono>
#include <set>

#include "base/affinity.h"

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

TEST(ThreadTeam, KeepsItsMembersOnTheirCoresAndLetsTheCallerGo) {
  const std::vector<int>& cores = allowed_cores();
  if (current_core() < 0 || cores.size() < 2) GTEST_SKIP() << "needs two cores that have numbers";
  {
    ThreadTeam team(std::vector<int>{cores[1], cores[0]});
    team.keep_caller();
    for (int round = 0; round < 50; ++round) {
      int on[2] = {-1, -1};
      team.run([&](int member) { on[member] = current_core(); });
      EXPECT_EQ(on[0], cores[1]);
      EXPECT_EQ(on[1], cores[0]);
    }
  }
  std::set<int> seen;
  for (int core : cores) {
    EXPECT_TRUE(keep_on_cores({core}));
    seen.insert(current_core());
    EXPECT_TRUE(keep_on_cores(cores));
  }
  EXPECT_EQ(seen.size(), cores.size());
}

}  // namespace
}  // namespace sluice::base
