// Counts the allocations of this program: once a reader has its files, requests make none.
#include <gtest/gtest.h>

#include "base/counted_allocations.h"
#include "io/faults.h"
#include "io/reader.h"
#include "io/test_file.h"

namespace sluice::io {
namespace {

class ReaderAllocation : public ReaderTest {};

TEST_P(ReaderAllocation, RequestsMakeNone) {
  const TestFile file(1 << 20);
  const TestMemory memory(1 << 20);
  ListedFaults faults;
  faults.add({0, 8192, {.most_bytes = 4096, .stall_ms = 1}});
  const auto reader =
      make({.queue_depth = 4, .read_bytes = 1 << 14, .max_requests = 32, .faults = &faults});
  ASSERT_TRUE(reader->open(file.path()).ok());
  ASSERT_TRUE(reader->register_memory(memory.all()).ok());
  std::vector<Completion> some(5);
  const int64_t before = base::allocations;
  for (int round = 0; round < 20; ++round) {
    for (uint64_t i = 0; i < 32; ++i) {
      const auto at = static_cast<int64_t>(i) << 15;
      ASSERT_TRUE(reader->submit({0, at, 1 << 15, memory.data() + at, i}).ok());
    }
    reader->wake();
    for (size_t finished = 0; finished < 32;) finished += reader->wait(some, 1000);
  }
  EXPECT_EQ(base::allocations, before);
  EXPECT_EQ(first_wrong(memory.data(), 0, 1 << 20), -1);
}

INSTANTIATE_TEST_SUITE_P(Each, ReaderAllocation,
                         ::testing::Values(Backend::kUring, Backend::kThreads), backend_name);

TEST(Allocation, IsCounted) {
  const int64_t before = base::allocations;
  const std::vector<int> one(1);
  EXPECT_GE(base::allocations, before + static_cast<int64_t>(one.size()));
}

}  // namespace
}  // namespace sluice::io
