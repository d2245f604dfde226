// What a reader says and does around its reads: opening, waiting, waking, ending.
#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "io/reader.h"
#include "io/test_file.h"

namespace sluice::io {
namespace {

using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

class ReaderLife : public ReaderTest {};

int64_t ms_since(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start).count();
}

TEST_P(ReaderLife, WaitsAsLongAsItIsToldTo) {
  const auto reader = make();
  std::vector<Completion> none(1);
  const auto start = Clock::now();
  EXPECT_EQ(reader->wait(none, 0), 0u);
  EXPECT_LT(ms_since(start), 20'000);
  EXPECT_EQ(reader->wait(none, 40), 0u);
  EXPECT_GE(ms_since(start), 40);
  EXPECT_LT(ms_since(start), 20'000);
}

TEST_P(ReaderLife, IsWokenByAnotherThread) {
  const auto reader = make();
  std::vector<Completion> none(1);
  for (const int delay_ms : {20, 0}) {
    std::thread other([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
      reader->wake();
    });
    EXPECT_EQ(reader->wait(none, -1), 0u);  // without a wake it would never end
    other.join();
  }
  reader->wake();
  EXPECT_EQ(reader->wait(none, 0), 0u);  // does not block, so the wake is still to come
  EXPECT_EQ(reader->wait(none, -1), 0u);
  const auto start = Clock::now();
  EXPECT_EQ(reader->wait(none, 30), 0u);
  EXPECT_GE(ms_since(start), 30) << "one wake ended two waits";
}

TEST_P(ReaderLife, WritesNothingOnceItIsGone) {
  const TestFile file(4 << 20);
  const TestMemory memory(4 << 20);
  for (int round = 0; round < 5; ++round) {
    auto reader = make({.queue_depth = 8, .read_bytes = 1 << 16});
    const auto id = reader->open(file.path());
    ASSERT_TRUE(id.ok());
    for (uint64_t i = 0; i < 16; ++i) {
      const auto at = static_cast<int64_t>(i) * (1 << 18);
      ASSERT_TRUE(reader->submit({*id, at, 1 << 18, memory.data() + at, i}).ok());
    }
    reader.reset();
    std::ranges::fill(memory.all(), std::byte{0xa5});
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_TRUE(
        std::ranges::all_of(memory.all(), [](std::byte b) { return b == std::byte{0xa5}; }));
  }
}

TEST_P(ReaderLife, OpensOnlyWhatCanBeReadAnywhere) {
  const auto reader = make();
  EXPECT_EQ(reader->open("/nowhere/at/all").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(reader->open(::testing::TempDir()).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(reader->open("/dev/null").error().code, ErrorCode::kInvalid);
  const TestFile file(1);
  for (int64_t i = 0; i < kMaxFiles; ++i) {
    const auto id = reader->open(file.path());
    ASSERT_TRUE(id.ok()) << id.error().message;
    EXPECT_EQ(*id, i);
  }
  EXPECT_EQ(reader->open(file.path()).error().code, ErrorCode::kNoRoom);
  const TestMemory memory(1);
  ASSERT_TRUE(reader->submit({kMaxFiles - 1, 0, 1, memory.data(), 0}).ok());
  EXPECT_TRUE(finish(*reader, 1)[0].status.ok());
  EXPECT_EQ(memory.data()[0], byte_at(0));
}

TEST_P(ReaderLife, ReadsThroughThePageCacheWhereThereIsNoOther) {
  const std::filesystem::path path = "/proc/version";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no file system without O_DIRECT here";
  const auto reader = make();
  const auto id = reader->open(path);
  ASSERT_TRUE(id.ok()) << id.error().message;
  EXPECT_FALSE(reader->direct(*id));
  EXPECT_THAT(reader->notes(), HasSubstr("'/proc/version' is read through the page cache"));
  std::string wanted;
  std::getline(std::ifstream(path), wanted);
  std::string got(5, ' ');
  ASSERT_TRUE(reader->submit({*id, 3, 5, reinterpret_cast<std::byte*>(got.data()), 0}).ok());
  EXPECT_TRUE(finish(*reader, 1)[0].status.ok());
  EXPECT_EQ(got, wanted.substr(3, 5));
}

TEST_P(ReaderLife, SaysWhatItIs) {
  EXPECT_EQ(make()->backend(), GetParam());
  EXPECT_EQ(make()->notes(), "");
}

INSTANTIATE_TEST_SUITE_P(Each, ReaderLife, ::testing::Values(Backend::kUring, Backend::kThreads),
                         backend_name);

TEST(Reader, RefusesOptionsByName) {
  const auto refusal = [](const ReaderOptions& options) {
    const auto reader = Reader::create(options);
    return reader.ok() ? "none" : reader.error().message;
  };
  EXPECT_THAT(refusal({.queue_depth = 0}), HasSubstr("queue_depth must be 1 to 1024, not 0"));
  EXPECT_THAT(refusal({.read_bytes = 4096 + 512}), HasSubstr("read_bytes must be a multiple"));
  EXPECT_THAT(refusal({.read_bytes = 512}), HasSubstr("read_bytes must be 4096 to"));
  EXPECT_THAT(refusal({.max_requests = 0}), HasSubstr("max_requests"));
}

TEST(Reader, TakesThreadsWhereThereIsNoUring) {
  const auto uring = Reader::create({.backend = Backend::kUring});
  const auto any = Reader::create({});
  ASSERT_TRUE(any.ok()) << any.error().message;
  EXPECT_EQ((*any)->backend(), uring.ok() ? Backend::kUring : Backend::kThreads);
  if (!uring.ok()) {
    EXPECT_EQ(uring.error().code, ErrorCode::kUnsupported);
    EXPECT_THAT((*any)->notes(), HasSubstr("reads go through threads"));
  }
}

}  // namespace
}  // namespace sluice::io
