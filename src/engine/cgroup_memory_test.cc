#include "engine/cgroup_memory.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

namespace sluice::engine {
namespace {

namespace fs = std::filesystem;

class CgroupMemory : public ::testing::Test {
 protected:
  CgroupMemory()
      : root_(fs::temp_directory_path() /
              ("sluice_cgroup_" +
               std::string(testing::UnitTest::GetInstance()->current_test_info()->name()))) {
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  ~CgroupMemory() override { fs::remove_all(root_); }

  void put(const std::string& name, const std::string& text) {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << text;
  }
  int64_t left() const { return cgroup_memory_left(root_ / "membership", root_); }

  fs::path root_;
};

TEST_F(CgroupMemory, HasNoLimitWhereNoGroupHasOne) {
  EXPECT_EQ(left(), kNoMemoryLimit);
  put("membership", "0::/a\n");
  put("a/memory.max", "max\n");
  put("memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(left(), kNoMemoryLimit);
}

TEST_F(CgroupMemory, TakesTheTightestOnTheWayUp) {
  put("membership", "0::/a/b\n");
  put("a/b/memory.max", "1000\n");
  put("a/b/memory.current", "100\n");
  put("a/memory.max", "2000\n");
  put("a/memory.current", "1500\n");
  EXPECT_EQ(left(), 500);
}

TEST_F(CgroupMemory, CountsNoFilePagesThatCanBeDropped) {
  put("membership", "0::/a\n");
  put("a/memory.max", "1000\n");
  put("a/memory.current", "950\n");
  put("a/memory.stat", "anon 100\nfile 850\ninactive_file 800\nactive_file 50\n");
  EXPECT_EQ(left(), 850);
}

TEST_F(CgroupMemory, ReadsVersionOne) {
  put("membership", "5:cpuset:/other\n4:memory:/job\n0::/\n");
  put("memory/job/memory.limit_in_bytes", "1000\n");
  put("memory/job/memory.usage_in_bytes", "700\n");
  put("memory/job/memory.stat", "cache 300\ntotal_inactive_file 200\n");
  EXPECT_EQ(left(), 500);
}

// Inside a container the path is the host's, and the root is the group itself.
TEST_F(CgroupMemory, TakesTheRootWhereThePathIsNotThere) {
  put("membership", "4:cpu,memory:/docker/0123\n");
  put("memory/memory.limit_in_bytes", "1000\n");
  put("memory/memory.usage_in_bytes", "1200\n");
  EXPECT_EQ(left(), 0);
}

TEST_F(CgroupMemory, SkipsLinesThatAreNone) {
  put("membership", "nonsense\n::\n0:\n7:memory:\n");
  EXPECT_EQ(left(), kNoMemoryLimit);
}

}  // namespace
}  // namespace sluice::engine
