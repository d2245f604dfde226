// Iterations that fail, are cancelled or given up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schedule/rolling_graph.h"
#include "schedule/test_made_graph.h"

namespace sluice::schedule {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Event kPage{.kind = Event::Kind::kPageResident, .index = 3};

TEST(RollingGraph, FailsAnIterationAtOnceAndRunsTheOthers) {
  RollingGraph graph(limits());
  std::vector<uint64_t> told;
  graph.on_failed_end([&](uint64_t user) { told.push_back(user); });
  const Made builder([](const Context&, Subgraph& g) {
    add(g, 0);
    add(g, 1, {0});
    add(g, 2, {1});
    add(g, 3, {0});
    add(g, 4, {2, 3});
    add(g, 5, {3});
  });
  auto ticket = graph.submit({}, builder, 7, kAllLanes);
  const Made other([](const Context&, Subgraph& g) {
    add(g, 20);
    add(g, 21, {0});
  });
  auto beside = graph.submit({}, other, 8, kAllLanes);
  EXPECT_THAT(drain(graph, {1}), ElementsAre(0, 1, 20, 21));
  ASSERT_TRUE(graph.ended(*ticket));
  EXPECT_THAT(told, ElementsAre(7));
  EXPECT_EQ(graph.failed_task(*ticket)->layer, 1);
  EXPECT_EQ(graph.release(*ticket).error(), kBroken);
  EXPECT_FALSE(graph.failed_task(*beside).has_value());
  EXPECT_TRUE(graph.release(*beside).ok());
}

TEST(RollingGraph, EndsAFailedIterationWithItsLastRunningTask) {
  RollingGraph graph(limits());
  std::vector<uint64_t> told;
  graph.on_failed_end([&](uint64_t user) { told.push_back(user); });
  const Made builder(
      [](const Context&, Subgraph& g) {
        add(g, 0);
        g.expand({.tasks = 1});
        add(g, 1, {}, Lane::kDeviceCompute);
        add(g, 2);
      },
      [](const Context&, const ExpansionPoint&, Subgraph& g) { add(g, 10); });
  auto ticket = graph.submit({}, builder, 0, kAllLanes);
  TaskRef grows, fails, none;
  ASSERT_TRUE(graph.take(Lane::kHostCompute, grows));
  ASSERT_TRUE(graph.take(Lane::kDeviceCompute, fails));
  graph.fail(fails, kBroken);
  EXPECT_FALSE(graph.take(Lane::kHostCompute, none));
  EXPECT_FALSE(graph.ended(*ticket));
  EXPECT_TRUE(told.empty());
  graph.complete(grows, {});
  EXPECT_TRUE(graph.ended(*ticket));
  EXPECT_EQ(told.size(), 1u);
  EXPECT_TRUE(graph.take_failed_end());
  EXPECT_FALSE(graph.take_failed_end());
  EXPECT_EQ(graph.failed_task(*ticket)->layer, 1);
  EXPECT_EQ(graph.release(*ticket).error(), kBroken);
}

TEST(RollingGraph, EndsAnEmptyExpansionAtOnceAndFailsAFailedOnesEnd) {
  for (const bool empty : {true, false}) {
    RollingGraph graph(limits());
    const Made builder(
        [](const Context&, Subgraph& g) {
          add(g, 0);
          g.expand({.tasks = 2});
          add(g, 1);
          g.after(Dependency::expansion(0));
        },
        [&](const Context&, const ExpansionPoint&, Subgraph& g) {
          if (empty) return;
          add(g, 10);
          add(g, 11);
        });
    auto ticket = graph.submit({}, builder, 0, kAllLanes);
    if (empty) {
      EXPECT_THAT(drain(graph, {10}), ElementsAre(0, 1));
    } else {
      EXPECT_THAT(drain(graph, {10}), ElementsAre(0, 10));
    }
    EXPECT_EQ(graph.release(*ticket).ok(), empty);
  }
}

TEST(RollingGraph, CarriesAFailureOverAnEvent) {
  RollingGraph graph(limits());
  const Made builder([](const Context& c, Subgraph& g) {
    if (c.iteration == 0) {
      add(g, 0);
      g.signal({kPage, 2});
    } else {
      add(g, static_cast<int16_t>(c.iteration));
      g.wait(kPage);
      add(g, static_cast<int16_t>(10 + c.iteration));
    }
  });
  auto first = graph.submit({.iteration = 0}, builder, 0, kAllLanes);
  auto second = graph.submit({.iteration = 1}, builder, 0, kAllLanes);
  EXPECT_THAT(drain(graph, {0}), ElementsAre(0));
  auto third = graph.submit({.iteration = 2}, builder, 0, kAllLanes);
  EXPECT_THAT(drain(graph), ElementsAre());
  for (const Ticket& ticket : {*first, *second, *third}) {
    EXPECT_EQ(graph.release(ticket).error(), kBroken);
  }
}

TEST(RollingGraph, TakesBackTheWaitOfATaskThatWillNotRun) {
  GraphLimits one = limits();
  one.max_iterations_in_flight = 1;
  RollingGraph graph(one);
  const Made builder([](const Context& c, Subgraph& g) {
    add(g, 0);
    add(g, 1, {0});
    if (c.iteration == 0) g.wait(kPage);
    if (c.iteration == 1) g.wait({.index = 99});
  });
  auto ticket = graph.submit({}, builder, 0, kAllLanes);
  EXPECT_THAT(drain(graph, {0}), ElementsAre(0));
  EXPECT_FALSE(graph.release(*ticket).ok());
  // The next iteration lies in the same slot and must not hear the first one's event.
  ticket = graph.submit({.iteration = 1}, builder, 0, kAllLanes);
  EXPECT_THAT(drain(graph), ElementsAre(0));
  ASSERT_TRUE(graph.signal({kPage, 1}, nullptr).ok());
  EXPECT_THAT(drain(graph), ElementsAre());
  ASSERT_TRUE(graph.signal({{.index = 99}, 1}, nullptr).ok());
  EXPECT_THAT(drain(graph), ElementsAre(1));
  EXPECT_TRUE(graph.release(*ticket).ok());
}

TEST(RollingGraph, CancelsWhatHasNotStarted) {
  RollingGraph graph(limits());
  const Made builder(
      [](const Context&, Subgraph& g) {
        add(g, 0);
        g.expand({.tasks = 1});
        add(g, 1);
        add(g, 2);
        g.after(Dependency::expansion(0));
      },
      [](const Context&, const ExpansionPoint&, Subgraph& g) { add(g, 10); });
  auto ticket = graph.submit({}, builder, 0, kAllLanes);
  TaskRef running;
  ASSERT_TRUE(graph.take(Lane::kHostCompute, running));
  graph.cancel(*ticket, {ErrorCode::kCancelled, "no more"});
  EXPECT_FALSE(graph.ended(*ticket));
  EXPECT_EQ(graph.ready(Lane::kHostCompute), 0u);
  graph.complete(running, {});  // it does not expand any more
  EXPECT_TRUE(graph.ended(*ticket));
  EXPECT_EQ(graph.release(*ticket).error().code, ErrorCode::kCancelled);
}

TEST(RollingGraph, GivesAnAbandonedSlotBackAtItsEnd) {
  GraphLimits one = limits();
  one.max_iterations_in_flight = 1;
  RollingGraph graph(one);
  const Made builder([](const Context&, Subgraph& g) { add(g, 0); });
  auto ticket = graph.submit({}, builder, 0, kAllLanes);
  TaskRef running;
  ASSERT_TRUE(graph.take(Lane::kHostCompute, running));
  graph.cancel(*ticket, kBroken);
  EXPECT_FALSE(graph.release(*ticket).ok());
  auto refused = graph.submit({}, builder, 0, kAllLanes);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("max_iterations_in_flight"));
  graph.complete(running, {});
  EXPECT_TRUE(graph.submit({}, builder, 0, kAllLanes).ok());
}

}  // namespace
}  // namespace sluice::schedule
