#include "schedule/event_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace sluice::schedule {
namespace {

Event event(uint32_t index, int64_t iteration = 0) {
  return {.kind = Event::Kind::kPageResident, .index = index, .iteration = iteration};
}

TEST(EventTable, ReleasesWaitersAndForgetsAfterTheLastWait) {
  EventTable table(4, 4);
  Error error;
  EXPECT_EQ(table.wait(event(1), {0, 7}, error), EventTable::State::kPending);
  EXPECT_EQ(*table.pending(), event(1));
  std::vector<TaskRef> released;
  table.signal({event(1), 2}, nullptr, [&](TaskRef ref) { released.push_back(ref); });
  EXPECT_EQ(released, (std::vector<TaskRef>{{0, 7}}));
  EXPECT_EQ(table.size(), 1);
  EXPECT_EQ(table.wait(event(1), {1, 8}, error), EventTable::State::kDone);
  EXPECT_EQ(table.size(), 0);
  EXPECT_FALSE(table.pending().has_value());
}

TEST(EventTable, HandsAFailureToLaterWaits) {
  EventTable table(4, 4);
  const Error cause{ErrorCode::kIo, "page 3 was not read"};
  table.signal({event(3), 1}, &cause, [](TaskRef) { FAIL(); });
  Error error;
  EXPECT_EQ(table.wait(event(3), {0, 1}, error), EventTable::State::kFailed);
  EXPECT_EQ(error, cause);
  EXPECT_EQ(table.size(), 0);
}

TEST(EventTable, KeepsNothingThatNobodyWaitsFor) {
  EventTable table(1, 1);
  for (uint32_t i = 0; i < 100; ++i) table.signal({event(i), 0}, nullptr, [](TaskRef) {});
  EXPECT_EQ(table.size(), 0);
}

// Against a map, with a table so small that its runs of probes wrap and merge.
TEST(EventTable, BehavesAsAMapUnderRandomUse) {
  struct Named {
    bool signalled = false;
    uint32_t waits = 0, made = 0;
    std::set<uint32_t> waiting;
  };
  std::mt19937 random(5);
  EventTable table(16, 64);
  std::map<uint32_t, Named> model;
  uint32_t tasks = 0;
  for (int step = 0; step < 20000; ++step) {
    const uint32_t name = random() % 64;
    if (!model.contains(name)) {
      if (model.size() == 16) continue;
      model[name].waits = 1 + random() % 4;
    }
    Named& named = model[name];
    if (!named.signalled && random() % 3 == 0) {
      std::set<uint32_t> released;
      table.signal({event(name, name % 5), named.waits}, nullptr,
                   [&](TaskRef ref) { released.insert(ref.task); });
      EXPECT_EQ(released, named.waiting);
      named.signalled = true;
    } else if (named.made < named.waits) {
      Error error;
      const bool done =
          table.wait(event(name, name % 5), {0, ++tasks}, error) == EventTable::State::kDone;
      ASSERT_EQ(done, named.signalled);
      if (!done) named.waiting.insert(tasks);
      ++named.made;
    }
    const bool forgotten = named.signalled && named.made == named.waits;
    const bool untouched = !named.signalled && named.made == 0;
    if (forgotten || untouched) model.erase(name);
    ASSERT_EQ(table.size(), static_cast<int64_t>(model.size()));
  }
}

}  // namespace
}  // namespace sluice::schedule
