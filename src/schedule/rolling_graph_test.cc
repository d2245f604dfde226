#include "schedule/rolling_graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schedule/test_made_graph.h"

namespace sluice::schedule {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Event kPage{.kind = Event::Kind::kPageResident, .index = 3};

TEST(RollingGraph, RunsADiamondInOrderOfIndex) {
  RollingGraph graph(limits());
  const Made builder([](const Context&, Subgraph& g) {
    add(g, 0);
    add(g, 1, {0});
    add(g, 2, {0});
    add(g, 3, {1, 2});
  });
  auto ticket = graph.submit({}, builder, 9, kAllLanes);
  ASSERT_TRUE(ticket.ok());
  EXPECT_THAT(drain(graph), ElementsAre(0, 1, 2, 3));
  EXPECT_TRUE(graph.ended(*ticket));
  EXPECT_TRUE(graph.release(*ticket).ok());
  EXPECT_FALSE(graph.live(*ticket));
  EXPECT_EQ(graph.in_flight(), 0);
}

TEST(RollingGraph, PrefersRankThenTheOlderIteration) {
  RollingGraph graph(limits());
  const Made builder([](const Context& c, Subgraph& g) {
    add(g, static_cast<int16_t>(10 * c.iteration));
    add(g, static_cast<int16_t>(10 * c.iteration + 1));
    g.tasks[1].rank = -1;
  });
  ASSERT_TRUE(graph.submit({.iteration = 1}, builder, 0, kAllLanes).ok());
  ASSERT_TRUE(graph.submit({.iteration = 2}, builder, 0, kAllLanes).ok());
  EXPECT_THAT(drain(graph), ElementsAre(11, 21, 10, 20));
}

// What runs of a failed iteration is waited for; it grows no more.
TEST(RollingGraph, JoinsAnExpansionBeforeWhatWaitsForItsEnd) {
  RollingGraph graph(limits());
  const Made builder(
      [](const Context&, Subgraph& g) {
        add(g, 0);
        g.expand({.tasks = 3, .dependencies = 1});
        add(g, 1, {0});  // beside the expansion
        add(g, 2);
        g.after(Dependency::expansion(0));
      },
      [](const Context&, const ExpansionPoint&, Subgraph& g) {
        add(g, 10, {}, Lane::kDeviceCompute);
        add(g, 11, {0}, Lane::kDeviceCompute);
        add(g, 12);
      });
  auto ticket = graph.submit({}, builder, 0, kAllLanes);
  EXPECT_THAT(drain(graph), ElementsAre(0, 1, 12, 10, 11, 2));
  EXPECT_TRUE(graph.release(*ticket).ok());
}

TEST(RollingGraph, JoinsIterationsByEventsInEitherOrder) {
  for (const bool signaller_first : {true, false}) {
    RollingGraph graph(limits());
    const Made builder([](const Context& c, Subgraph& g) {
      add(g, static_cast<int16_t>(c.iteration));
      if (c.iteration == 0) {
        g.signal({kPage, 1});
      } else {
        g.wait(kPage);
      }
    });
    ASSERT_TRUE(graph.submit({.iteration = signaller_first ? 0 : 1}, builder, 0, kAllLanes).ok());
    if (signaller_first) {
      EXPECT_THAT(drain(graph), ElementsAre(0));
    } else {
      EXPECT_THAT(drain(graph), ElementsAre());
    }
    ASSERT_TRUE(graph.submit({.iteration = signaller_first ? 1 : 0}, builder, 0, kAllLanes).ok());
    if (signaller_first) {
      EXPECT_THAT(drain(graph), ElementsAre(1));
    } else {
      EXPECT_THAT(drain(graph), ElementsAre(0, 1));
    }
  }
}

TEST(RollingGraph, TakesSignalsFromOutside) {
  RollingGraph graph(limits());
  const Made builder([](const Context&, Subgraph& g) {
    add(g, 0);
    g.wait(kPage);
  });
  auto ticket = graph.submit({}, builder, 0, kAllLanes);
  EXPECT_THAT(graph.stalled(*ticket), HasSubstr("waits for the event page resident 3"));
  ASSERT_TRUE(graph.signal({kPage, 1}, nullptr).ok());
  EXPECT_THAT(drain(graph), ElementsAre(0));
}

TEST(RollingGraph, HoldsAnExclusiveIterationUntilEarlierOnesEnded) {
  RollingGraph graph(limits());
  const Made builder([](const Context& c, Subgraph& g) {
    g.exclusive = true;
    const auto id = static_cast<int16_t>(10 * c.iteration);
    add(g, id, {}, Lane::kDeviceCompute);
    add(g, static_cast<int16_t>(id + 1));  // ready at once, but for the gate
  });
  std::vector<Ticket> tickets;
  for (int64_t i = 0; i < 3; ++i) {
    tickets.push_back(*graph.submit({.iteration = i}, builder, 0, kAllLanes));
  }
  EXPECT_THAT(drain(graph, {0}), ElementsAre(1, 0, 11, 10, 21, 20));
  EXPECT_FALSE(graph.release(tickets[0]).ok());
  EXPECT_TRUE(graph.release(tickets[1]).ok());
}

TEST(RollingGraph, RefusesByTheNameOfTheLimit) {
  RollingGraph graph(limits());
  const auto refusal = [&](const Made::Iteration& iteration, uint32_t lanes = kAllLanes) {
    auto ticket = graph.submit({}, Made(iteration), 0, lanes);
    return ticket.ok() ? std::string() : ticket.error().message;
  };
  EXPECT_THAT(refusal([](const Context&, Subgraph& g) {
                for (int16_t i = 0; i < 17; ++i) add(g, i);
              }),
              HasSubstr("max_iteration is 16 tasks"));
  EXPECT_THAT(refusal([](const Context&, Subgraph& g) {
                add(g, 0);
                g.expand({.tasks = 9});
              }),
              HasSubstr("max_expansion is 8 tasks"));
  const Made::Iteration waits = [](const Context&, Subgraph& g) {
    add(g, 0);
    for (uint32_t i = 0; i < 8; ++i) g.wait({.index = i});
    for (uint32_t i = 8; i < 16; ++i) g.signal({{.index = i}, 1});
    add(g, 1);
  };
  EXPECT_EQ(refusal(waits), "");
  EXPECT_THAT(refusal(waits), HasSubstr("max_events is 16"));
  EXPECT_THAT(refusal([](const Context&, Subgraph& g) { add(g, 0, {}, Lane::kDeviceCompute); }, 2),
              HasSubstr("needs the lane device compute, which this run does not have"));
}

}  // namespace
}  // namespace sluice::schedule
