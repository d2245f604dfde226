// How busy the rolling graph keeps the lanes.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <queue>

#include "schedule/rolling_graph.h"
#include "schedule/test_cgopipe.h"

namespace sluice::schedule {
namespace {

constexpr uint32_t kEveryLane = (1u << kLanes) - 1;

// Algorithm 1 in virtual time: every lane runs one task at a time for as long as predicted.
TEST(RollingGraph, KeepsTheCriticalLaneBusyUnderCgopipe) {
  constexpr int kLayers = 4, kMicroBatches = 4;
  constexpr int64_t kSteps = 6;
  const TestCgopipe builder(kLayers, kMicroBatches, kSteps,
                            {.pre_attn_ns = 10,
                             .offload_ns = 5,
                             .attend_ns = 60,
                             .load_ns = 10,
                             .page_ns = 90,
                             .stage_ns = 20,
                             .post_attn_ns = 40});
  const BuilderBounds bounds = builder.bounds({});
  RollingGraph graph({.max_iterations_in_flight = kMicroBatches,
                      .max_iteration = bounds.total(),
                      .max_expansion = bounds.expansion,
                      .max_events = 512});
  struct Running {
    int64_t end_ns;
    TaskRef ref;
    bool operator<(const Running& other) const { return end_ns > other.end_ns; }
  };
  std::priority_queue<Running> running;
  std::array<bool, kLanes> busy{};
  std::array<int64_t, kLanes> busy_ns{};
  std::array<Ticket, kMicroBatches> tickets;
  std::array<int64_t, kMicroBatches> step{};
  for (int j = 0; j < kMicroBatches; ++j) {
    tickets[j] = *graph.submit({.micro_batch = j}, builder, 0, kEveryLane);
  }
  int64_t now_ns = 0;
  for (bool more = true; more;) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      TaskRef ref;
      if (busy[lane] || !graph.take(static_cast<Lane>(lane), ref)) continue;
      busy[lane] = true;
      busy_ns[lane] += graph.task(ref).predicted_ns;
      running.push({now_ns + graph.task(ref).predicted_ns, ref});
    }
    ASSERT_FALSE(running.empty());
    const Running next = running.top();
    running.pop();
    now_ns = next.end_ns;
    busy[static_cast<size_t>(graph.task(next.ref).lane)] = false;
    const int j = graph.task(next.ref).micro_batch;
    graph.complete(next.ref, {});
    if (graph.ended(tickets[j])) {
      ASSERT_TRUE(graph.release(tickets[j]).ok());
      if (++step[j] < kSteps) {
        tickets[j] =
            *graph.submit({.micro_batch = j, .iteration = step[j]}, builder, 0, kEveryLane);
      }
    }
    more = graph.in_flight() > 0;
  }
  const int64_t link_ns = busy_ns[static_cast<size_t>(Lane::kHostToDevice)];
  EXPECT_EQ(link_ns, kSteps * kLayers * kMicroBatches * (90 + 10));
  EXPECT_EQ(link_ns, *std::max_element(busy_ns.begin(), busy_ns.end()));
  EXPECT_LT(now_ns, link_ns * 105 / 100);
}

}  // namespace
}  // namespace sluice::schedule
