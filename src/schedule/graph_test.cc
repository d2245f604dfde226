#include "schedule/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::schedule {
namespace {

using ::testing::HasSubstr;

constexpr Bounds kRoom{.tasks = 8,
                       .dependencies = 8,
                       .waits = 8,
                       .signals = 8,
                       .pages = 8,
                       .expansions = 2,
                       .bytes = 1 << 20};

Task stage(Lane lane, models::StageKind kind, int16_t layer = -1) {
  return {.work = models::Stage{.kind = kind, .layer = layer}, .lane = lane, .layer = layer};
}

Task move(Lane lane, Level from, Level to) {
  return {.work = Transfer{.from = from, .to = to, .pages = {12, 4}, .bytes = 4096},
          .lane = lane,
          .layer = 4};
}

// qkv on the device, its result to the host, attention there, and a weight page meanwhile.
Subgraph small() {
  Subgraph g;
  const TaskIndex qkv = g.add(stage(Lane::kDeviceCompute, models::StageKind::kQkv, 3));
  const TaskIndex off = g.add(move(Lane::kDeviceToHost, Level::kDevice, Level::kHost));
  g.after(Dependency::task(qkv));
  g.add(stage(Lane::kHostCompute, models::StageKind::kAttend, 3));
  g.after(Dependency::task(off));
  g.wait({.kind = Event::Kind::kPageResident, .index = 7});
  g.need({7, 1});
  g.add(move(Lane::kHostToDevice, Level::kStaging, Level::kDevice));
  g.signal({{.kind = Event::Kind::kPageResident, .index = 12}, 2});
  return g;
}

TEST(Subgraph, KeepsEachTasksRangesApart) {
  const Subgraph g = small();
  EXPECT_EQ(g.dependencies_of(g.tasks[1]).front(), Dependency::task(0));
  EXPECT_EQ(g.dependencies_of(g.tasks[2]).front().index(), 1u);
  EXPECT_TRUE(g.dependencies_of(g.tasks[3]).empty());
  EXPECT_EQ(g.waits_of(g.tasks[2]).front().index, 7u);
  EXPECT_EQ(g.signals_of(g.tasks[3]).front().waits, 2u);
  EXPECT_EQ(g.pages_of(g.tasks[2]).front(), (PageRange{7, 1}));
  EXPECT_EQ(g.size(), (Bounds{.tasks = 4,
                              .dependencies = 2,
                              .waits = 1,
                              .signals = 1,
                              .pages = 1,
                              .expansions = 0,
                              .bytes = 8192}));
  EXPECT_TRUE(validate(g, kRoom).ok());
}

TEST(Subgraph, IsAValue) {
  Subgraph a = small();
  EXPECT_EQ(a, small());
  a.tasks[2].rank = 1;
  EXPECT_NE(a, small());
  a.clear();
  EXPECT_EQ(a, Subgraph{});
}

TEST(Subgraph, IsPrinted) {
  const Subgraph g = small();
  EXPECT_EQ(label(g.tasks[0]), "L03 qkv mb0");
  EXPECT_EQ(label(g.tasks[3]), "L04 weights staging>device mb0 p12+4");
  EXPECT_THAT(to_text(g), HasSubstr("2  host compute  L03 attend mb0  after 1  waits: page "
                                    "resident 7 (layer -1, mb0, iteration 0)  needs p7+1\n"));
  EXPECT_THAT(to_dot(g), HasSubstr("t1 -> t2;"));
}

struct Broken {
  const char* says;
  void (*damage)(Subgraph&);
};

class ValidateRefuses : public ::testing::TestWithParam<Broken> {};

TEST_P(ValidateRefuses, ByName) {
  Subgraph g = small();
  GetParam().damage(g);
  const Status status = validate(g, kRoom);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kInvalid);
  EXPECT_THAT(status.error().message, HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    Graphs, ValidateRefuses,
    ::testing::Values(
        Broken{"depends on task 2; tasks may depend on earlier ones only",
               [](Subgraph& g) { g.dependencies[0] = Dependency::task(2); }},
        Broken{"depends on task 1;", [](Subgraph& g) { g.dependencies[0] = Dependency::task(1); }},
        Broken{"does not expand",
               [](Subgraph& g) { g.dependencies[1] = Dependency::expansion(0); }},
        Broken{"outside its array", [](Subgraph& g) { g.tasks[2].waits.first = 5; }},
        Broken{"outside its array", [](Subgraph& g) { g.tasks[2].pages.count = kNone; }},
        Broken{"cannot run on the lane disk", [](Subgraph& g) { g.tasks[1].lane = Lane::kDisk; }},
        Broken{"cannot run on the lane host to device",
               [](Subgraph& g) { g.tasks[0].lane = Lane::kHostToDevice; }},
        Broken{"not its own", [](Subgraph& g) { g.tasks[0].expansion = 0; }},
        Broken{"bounded to",
               [](Subgraph& g) {
                 for (int i = 0; i < 5; ++i) {
                   g.add(stage(Lane::kHostCompute, models::StageKind::kEmbed));
                 }
               }},
        Broken{"bounded to",
               [](Subgraph& g) { std::get<Transfer>(g.tasks[3].work).bytes = 2 << 20; }},
        Broken{"allows expansion points", [](Subgraph& g) { g.expand({.expansions = 1}); }}));

TEST(Validate, RefusesAnExpansionInAnExpansion) {
  Subgraph g = small();
  g.expand({.tasks = 1});
  EXPECT_TRUE(validate(g, kRoom).ok());
  EXPECT_FALSE(validate(g, kRoom, true).ok());
}

TEST(Validate, KnowsWhatEachLaneCarries) {
  EXPECT_TRUE(legal(Lane::kHostCompute, move(Lane::kHostCompute, Level::kHost, Level::kStaging)));
  EXPECT_FALSE(legal(Lane::kHostCompute, move(Lane::kHostCompute, Level::kHost, Level::kDevice)));
  EXPECT_TRUE(legal(Lane::kDisk, move(Lane::kDisk, Level::kDisk, Level::kStaging)));
  EXPECT_FALSE(legal(Lane::kDisk, move(Lane::kDisk, Level::kHost, Level::kDevice)));
  EXPECT_TRUE(legal(Lane::kNetwork, move(Lane::kNetwork, Level::kPeer, Level::kHost)));
  EXPECT_FALSE(legal(Lane::kNetwork, move(Lane::kNetwork, Level::kPeer, Level::kPeer)));
  EXPECT_FALSE(legal(Lane::kDeviceToHost, move(Lane::kDisk, Level::kHost, Level::kDevice)));
}

}  // namespace
}  // namespace sluice::schedule
