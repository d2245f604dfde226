#include "base/numa.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>

#include "base/affinity.h"
#include "base/test_path.h"

namespace sluice::base {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Optional;

constexpr int kNone = -1;

// A made-up tree of files that goes when the test ends.
class NumaTree : public testing::Test {
 protected:
  void SetUp() override {
    const char* name = testing::UnitTest::GetInstance()->current_test_info()->name();
    root_ = test_path(name);
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    const fs::path file = root_ / path;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  void node(int id, const std::string& cores) {
    write("devices/system/node/node" + std::to_string(id) + "/cpulist", cores);
  }

  fs::path root_;
};

TEST(NumaLists, AreReadAsTheKernelWritesThem) {
  EXPECT_THAT(parse_number_list("0\n", 8), Optional(ElementsAre(0)));
  EXPECT_THAT(parse_number_list("0-2,5,7-7", 8), Optional(ElementsAre(0, 1, 2, 5, 7)));
  EXPECT_THAT(parse_number_list("\t0-1", 8), Optional(ElementsAre(0, 1)));
  EXPECT_THAT(parse_number_list("\n", 8), Optional(IsEmpty()));
  for (const char* text : {"8", "0-8", "-1", "1-", "2-1", "1,1", "3,0", "0,", ",0", "0x1", "a",
                           "0 1", "99999999999999999999"}) {
    EXPECT_EQ(parse_number_list(text, 8), std::nullopt) << text;
  }
}

TEST_F(NumaTree, TwoSockets) {
  write("devices/system/node/online", "0-1\n");
  write("devices/system/node/has_memory", "0-1\n");
  node(0, "0-3,8-11\n");
  node(1, "4-7,12-15\n");
  const NumaNodes nodes = read_numa_nodes(root_);
  const NumaNodes expected = {{{0, {0, 1, 2, 3, 8, 9, 10, 11}}, {1, {4, 5, 6, 7, 12, 13, 14, 15}}}};
  EXPECT_EQ(nodes, expected);
  const std::vector<int> all = {0, 1, 4, 5}, first = {0, 9};
  EXPECT_THAT(nodes_to_interleave(nodes, all, std::nullopt), ElementsAre(0, 1));
  EXPECT_THAT(nodes_to_interleave(nodes, first, std::nullopt), IsEmpty());
  EXPECT_THAT(nodes_to_interleave(nodes, all, std::vector<int>{1}), IsEmpty());
  EXPECT_THAT(nodes_to_interleave(nodes, all, std::vector<int>{0, 1, 2}), ElementsAre(0, 1));
}

TEST_F(NumaTree, NodesWithoutMemoryOrWithoutCores) {
  write("devices/system/node/online", "0-3,8\n");
  write("devices/system/node/has_memory", "0,2-3,8\n");
  node(0, "0\n");
  node(1, "1\n");
  node(2, "2-3\n");
  node(3, "\n");
  node(8, "4\n");
  const NumaNodes nodes = read_numa_nodes(root_);
  const NumaNodes expected = {{{0, {0}}, {2, {2, 3}}, {3, {}}, {8, {4}}}};
  EXPECT_EQ(nodes, expected);
  const std::vector<int> cores = {0, 1, 2, 3, 4}, some = {1, 3, 4};
  EXPECT_THAT(nodes_to_interleave(nodes, cores, std::nullopt), ElementsAre(0, 2, 8));
  EXPECT_THAT(nodes_to_interleave(nodes, some, std::nullopt), ElementsAre(2, 8));
}

TEST_F(NumaTree, OneNodeOrNoneOrNonsenseIsNothingToChoose) {
  const std::vector<int> cores = {0, 1};
  EXPECT_EQ(read_numa_nodes(root_), NumaNodes{});
  EXPECT_THAT(nodes_to_interleave({}, cores, std::nullopt), IsEmpty());
  write("devices/system/node/online", "0\n");
  node(0, "0-1\n");
  EXPECT_EQ(read_numa_nodes(root_).nodes.size(), 1u);
  EXPECT_THAT(nodes_to_interleave(read_numa_nodes(root_), cores, std::nullopt), IsEmpty());
  // A node whose cores cannot be read: which memory is near is then anyone's guess.
  write("devices/system/node/online", "0-1\n");
  EXPECT_EQ(read_numa_nodes(root_), NumaNodes{});
  node(1, "all of them\n");
  EXPECT_EQ(read_numa_nodes(root_), NumaNodes{});
}

TEST_F(NumaTree, AllowedNodesStandInTheProcessesStatus) {
  EXPECT_EQ(read_allowed_nodes(root_ / "status"), std::nullopt);
  write("status", "Name:\tsluice\nMems_allowed:\t00000003\nMems_allowed_list:\t0-1\nThreads:\t1\n");
  EXPECT_THAT(read_allowed_nodes(root_ / "status"), Optional(ElementsAre(0, 1)));
  write("status", "Name:\tsluice\n");
  EXPECT_EQ(read_allowed_nodes(root_ / "status"), std::nullopt);
}

// This machine: on one with two nodes, half of the pages lie on each.
TEST(Numa, InterleavedPagesLieOnTheNodesAskedForInEqualShares) {
  std::vector<int> nodes = own_nodes_to_interleave();
  if (nodes.empty()) {
    const NumaNodes found = read_numa_nodes("/sys");
    if (found.nodes.empty()) GTEST_SKIP() << "this system tells of no memory nodes";
    nodes = {found.nodes.front().id};
  }
  constexpr int64_t kPages = 240;
  const int64_t bytes = kPages * ::sysconf(_SC_PAGESIZE);
  void* mapped = ::mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  auto* begin = static_cast<std::byte*>(mapped);
  ::madvise(mapped, static_cast<size_t>(bytes), MADV_NOHUGEPAGE);
  if (!interleave(begin, bytes, nodes)) {
    ::munmap(mapped, static_cast<size_t>(bytes));
    GTEST_SKIP() << "this system refuses to interleave memory";
  }
  std::fill(begin, begin + bytes / 2, std::byte{1});
  const auto placed = nodes_of_pages(begin, bytes);
  ::munmap(mapped, static_cast<size_t>(bytes));
  ASSERT_TRUE(placed) << "the system interleaves memory and does not say where it lies";
  std::map<int, int64_t> pages;
  for (const int node : *placed) ++pages[node];
  EXPECT_EQ(pages[kNone], kPages / 2);
  for (const int node : nodes) {
    const auto share = static_cast<int64_t>(kPages / 2 / nodes.size());
    EXPECT_NEAR(static_cast<double>(pages[node]), static_cast<double>(share), 1.0) << node;
    pages.erase(node);
  }
  pages.erase(kNone);
  EXPECT_THAT(pages, IsEmpty()) << "pages on nodes that nobody asked for";
}

TEST(Numa, ANodeThatIsNotThereIsRefused) {
  if (read_numa_nodes("/sys").nodes.empty()) GTEST_SKIP() << "no memory nodes are known here";
  const int64_t bytes = ::sysconf(_SC_PAGESIZE);
  void* mapped = ::mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  const std::vector<int> missing = {kMaxNumaNodes - 1};
  EXPECT_FALSE(interleave(static_cast<std::byte*>(mapped), bytes, missing));
  ::munmap(mapped, static_cast<size_t>(bytes));
}

}  // namespace
}  // namespace sluice::base
