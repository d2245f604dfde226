#include "memory/arena.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "base/numa.h"
#include "memory/poison.h"

namespace sluice::memory {
namespace {

uintptr_t address(std::span<std::byte> region) {
  return reinterpret_cast<uintptr_t>(region.data());
}

TEST(Arena, CutsAlignedZeroedRegionsThatDoNotOverlap) {
  Arena arena = Arena::create(1 << 20).value();
  EXPECT_EQ(arena.capacity(), 1 << 20);
  const auto a = arena.allocate("a", 100);
  EXPECT_EQ(address(a) % static_cast<uintptr_t>(Arena::kReservationAlignment), 0u);
  const auto b = arena.allocate("b", 10, 4096);
  const auto c = arena.allocate("c", 5, 1);
  EXPECT_EQ(address(b) % 4096, 0u);
  EXPECT_GE(address(b), address(a) + 100);
  EXPECT_GE(address(c), address(b) + 10);
  for (const auto& region : {a, b, c}) {
    EXPECT_TRUE(std::ranges::all_of(region, [](std::byte x) { return x == std::byte{0}; }));
    std::memset(region.data(), 0xff, region.size());
  }
  // The same offsets with guards and without.
  const std::vector<ArenaRegion> expected = {{"a", 0, 100}, {"b", 4096, 10}, {"c", 4106, 5}};
  EXPECT_EQ(arena.regions(), expected);
  EXPECT_EQ(arena.used(), 4111);
}

TEST(Arena, IsFilledToItsLastByte) {
  Arena arena = Arena::create(12345, {.huge_pages = true, .populate = true}).value();
  const auto all = arena.allocate("all", 12345);
  std::memset(all.data(), 1, all.size());
  EXPECT_TRUE(arena.allocate("nothing", 0, 1).empty());
  EXPECT_DEATH((void)arena.allocate("more", 1, 1), "every region that the plan counted");
}

TEST(Arena, MovesWithItsRegions) {
  Arena first = Arena::create(4096).value();
  const auto region = first.allocate("r", 64);
  region[63] = std::byte{7};
  Arena second = std::move(first);
  EXPECT_EQ(second.regions().size(), 1u);
  EXPECT_EQ(region[63], std::byte{7});
  second = Arena::create(8192).value();
  EXPECT_EQ(second.used(), 0);
  EXPECT_EQ(second.capacity(), 8192);
}

// How many of the pages of `region`, all touched, lie on each node.
std::map<int, int64_t> pages_by_node(std::span<std::byte> region) {
  std::map<int, int64_t> pages;
  std::memset(region.data(), 1, region.size());
  const auto placed = base::nodes_of_pages(region.data(), static_cast<int64_t>(region.size()));
  if (placed) {
    for (const int node : *placed) ++pages[node];
  }
  return pages;
}

TEST(Arena, TakesItsPagesFromMemoryNodesInTurn) {
  const std::vector<int> nodes = base::own_nodes_to_interleave();
  Arena arena = Arena::create(int64_t{8} << 20, {.interleave_over = nodes}).value();
  const auto pages = pages_by_node(arena.allocate("weights", arena.capacity(), 4096));
  if (nodes.empty()) {
    EXPECT_FALSE(arena.interleaved());
    EXPECT_LE(pages.size(), std::max<size_t>(1, base::read_numa_nodes("/sys").nodes.size()));
    return;
  }
  if (!arena.interleaved()) GTEST_SKIP() << "this system refuses to interleave memory";
  ASSERT_EQ(pages.size(), nodes.size());
  int64_t all = 0;
  for (const auto& [node, count] : pages) all += count;
  const double share = static_cast<double>(all) / static_cast<double>(nodes.size());
  // A system may make large pages unasked, and hands those out in turn: of 2 MiB, a quarter of all.
  for (const int node : nodes)
    EXPECT_NEAR(static_cast<double>(pages.at(node)), share, static_cast<double>(all) / 4) << node;
  Arena moved = std::move(arena);
  EXPECT_TRUE(moved.interleaved());
  EXPECT_FALSE(arena.interleaved());
}

TEST(Arena, OneNodeIsNothingToInterleave) {
  // Nobody asks the system: node 1000 is nowhere.
  EXPECT_FALSE(Arena::create(4096, {.interleave_over = {1000}}).value().interleaved());
  const Arena refused = Arena::create(4096, {.interleave_over = {1000, 1001}}).value();
  EXPECT_FALSE(refused.interleaved());
  EXPECT_EQ(refused.capacity(), 4096);
}

TEST(Arena, DescribesItself) {
  Arena arena = Arena::create(4096).value();
  (void)arena.allocate("activations", 2048);
  EXPECT_NE(arena.describe().find("activations: 2.0 KiB at 0"), std::string::npos)
      << arena.describe();
}

TEST(Arena, RefusesImpossibleSizes) {
  EXPECT_EQ(Arena::create(0).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(Arena::create(-1).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(Arena::create(int64_t{1} << 60).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(Arena::create(int64_t{1} << 47).error().code, ErrorCode::kNoRoom);
}

TEST(Arena, GuardsItsRegionsUnderTheAddressSanitizer) {
  if (guard_bytes() == 0) GTEST_SKIP() << "this build has no address sanitizer";
  Arena arena = Arena::create(4096).value();
  const auto a = arena.allocate("a", 64);
  (void)arena.allocate("b", 64);
  EXPECT_DEATH(*const_cast<volatile std::byte*>(a.data() + 64) = std::byte{1}, "use-after-poison");
}

}  // namespace
}  // namespace sluice::memory
