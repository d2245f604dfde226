#include "io/reader.h"

#include <gmock/gmock.h>
#include <sys/mman.h>

#include <algorithm>
#include <random>

#include "io/test_file.h"

namespace sluice::io {
namespace {

using ::testing::HasSubstr;
// Keeps as many random requests out as the reader takes and checks each as it comes back.
void read_at_random(Reader& reader, const TestFile& file, int64_t max_requests, int64_t unit) {
  constexpr int kRequests = 300;
  constexpr int64_t kMost = 1 << 18;
  std::mt19937_64 random(static_cast<uint64_t>(unit + max_requests));
  const auto below = [&](int64_t end) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(end));
  };
  const TestMemory memory(max_requests * kMost);
  const auto id = reader.open(file.path());
  ASSERT_TRUE(id.ok()) << id.error().message;
  std::vector<Request> out(static_cast<size_t>(max_requests));
  std::vector<uint64_t> places;
  for (int64_t i = max_requests; i-- > 0;) places.push_back(static_cast<uint64_t>(i));
  std::vector<Completion> ended(5);
  int submitted = 0, finished = 0;
  while (finished < kRequests) {
    while (submitted < kRequests && !places.empty()) {
      const uint64_t at = places.back();
      places.pop_back();
      const int64_t offset = unit * below((file.bytes() - kMost) / unit);
      const int64_t bytes = unit * (1 + below(kMost / unit));
      out[at] = {*id, offset, bytes, memory.data() + static_cast<int64_t>(at) * kMost, at};
      ASSERT_TRUE(reader.submit(out[at]).ok());
      ++submitted;
    }
    const size_t got = reader.wait(ended, 60'000);
    ASSERT_GT(got, 0u);
    for (size_t i = 0; i < got; ++i) {
      ASSERT_TRUE(ended[i].status.ok()) << ended[i].status.error().message;
      const Request& request = out[ended[i].user];
      ASSERT_TRUE(file.holds(request.memory, request.offset, request.bytes));
      std::fill_n(request.memory, request.bytes, std::byte{0});
      places.push_back(ended[i].user);
      ++finished;
    }
  }
}

TEST_P(ReaderTest, BringsWhatTheFileHolds) {
  const TestFile file((3 << 20) + 4096);
  for (const int depth : {1, 3, 16}) {
    for (const int64_t read_bytes : {4096, 1 << 16, 1 << 20}) {
      for (const bool direct : {true, false}) {
        const ReaderOptions options{.queue_depth = depth,
                                    .read_bytes = read_bytes,
                                    .direct = direct,
                                    .max_requests = 2 * depth + 1};
        const auto reader = make(options);
        read_at_random(*reader, file, options.max_requests, direct ? kDirectAlignment : 17);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(ReaderTest, ReadsTheEndOfAFileOfAnySize) {
  const TestFile file(70'001);
  const auto reader = make({.read_bytes = 16384});
  const auto id = reader->open(file.path());
  ASSERT_TRUE(id.ok());
  const TestMemory memory(file.bytes());
  ASSERT_TRUE(reader->submit({*id, 0, 65'536, memory.data(), 1}).ok());
  ASSERT_TRUE(reader->submit({*id, 65'536, 70'001 - 65'536, memory.data() + 65'536, 2}).ok());
  for (const Completion& ended : finish(*reader, 2)) EXPECT_TRUE(ended.status.ok());
  EXPECT_EQ(first_wrong(memory.data(), 0, file.bytes()), -1);
}

TEST_P(ReaderTest, TakesSoManyRequestsAndNoMore) {
  const TestFile file(1 << 20);
  const auto reader = make({.queue_depth = 4, .read_bytes = 8192, .max_requests = 64});
  const auto id = reader->open(file.path());
  ASSERT_TRUE(id.ok());
  const TestMemory memory(1 << 20);
  const auto request = [&](uint64_t i) {
    const auto at = static_cast<int64_t>(i) * 16384;
    return Request{*id, at, 16384, memory.data() + at, i};
  };
  for (uint64_t i = 0; i < 64; ++i) ASSERT_TRUE(reader->submit(request(i)).ok());
  EXPECT_EQ(reader->submit(request(0)).error().code, ErrorCode::kNoRoom);
  std::vector<bool> seen(64, false);
  for (const Completion& ended : finish(*reader, 64)) {
    EXPECT_TRUE(ended.status.ok());
    EXPECT_FALSE(seen[ended.user]);
    seen[ended.user] = true;
  }
  EXPECT_EQ(first_wrong(memory.data(), 0, 1 << 20), -1);
  EXPECT_TRUE(reader->submit(request(5)).ok());
  finish(*reader, 1);
}

TEST_P(ReaderTest, RefusesWhatItCannotRead) {
  const TestFile file(1 << 16);
  const auto reader = make();
  const auto id = reader->open(file.path());
  ASSERT_TRUE(id.ok());
  const TestMemory memory(1 << 16);
  std::byte* into = memory.data();
  EXPECT_EQ(reader->submit({*id + 1, 0, 4096, into, 0}).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(reader->submit({-1, 0, 4096, into, 0}).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(reader->submit({*id, 0, 0, into, 0}).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(reader->submit({*id, -4096, 4096, into, 0}).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(reader->submit({*id, 0, 4096, nullptr, 0}).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(reader->submit({*id, INT64_MAX - 4095, 4096, into, 0}).error().code,
            ErrorCode::kInvalid);
  if (!reader->direct(*id)) GTEST_SKIP() << reader->notes();
  const auto offset = reader->submit({*id, 512, 4096, into, 0});
  EXPECT_EQ(offset.error().code, ErrorCode::kInvalid);
  EXPECT_THAT(offset.error().message, HasSubstr(file.path().string()));
  EXPECT_THAT(offset.error().message, HasSubstr("offset 512"));
  EXPECT_EQ(reader->submit({*id, 0, 1000, into, 0}).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(reader->submit({*id, 0, 4096, into + 512, 0}).error().code, ErrorCode::kInvalid);
  std::vector<Completion> none(1);
  EXPECT_EQ(reader->wait(none, 0), 0u);
}

TEST_P(ReaderTest, TellsWhereAFileThatWasCutShortEnds) {
  for (const bool direct : {true, false}) {
    const TestFile file(1 << 20);
    const auto reader = make({.read_bytes = 1 << 16, .direct = direct});
    const auto id = reader->open(file.path());
    ASSERT_TRUE(id.ok());
    std::filesystem::resize_file(file.path(), 300'000);
    const TestMemory memory(1 << 20);
    ASSERT_TRUE(reader->submit({*id, 0, 1 << 20, memory.data(), 7}).ok());
    const auto ended = finish(*reader, 1);
    ASSERT_FALSE(ended[0].status.ok());
    EXPECT_EQ(ended[0].user, 7u);
    EXPECT_EQ(ended[0].status.error().code, ErrorCode::kCorrupt);
    EXPECT_THAT(ended[0].status.error().message, HasSubstr(file.path().string()));
    EXPECT_THAT(ended[0].status.error().message, HasSubstr("1048576 bytes at offset 0"));
    ASSERT_TRUE(reader->submit({*id, 4096, 8192, memory.data(), 8}).ok());
    EXPECT_TRUE(finish(*reader, 1)[0].status.ok());
    EXPECT_EQ(first_wrong(memory.data(), 4096, 8192), -1);
  }
}

TEST_P(ReaderTest, ReadsIntoRegisteredMemory) {
  const TestFile file(2 << 20);
  const auto reader = make({.queue_depth = 4, .read_bytes = 1 << 16});
  const auto id = reader->open(file.path());
  ASSERT_TRUE(id.ok());
  const TestMemory first(1 << 20), second(1 << 20), other(1 << 20);
  EXPECT_EQ(reader->register_memory({}).error().code, ErrorCode::kInvalid);
  EXPECT_TRUE(reader->register_memory(first.all()).ok());
  EXPECT_TRUE(reader->register_memory(second.all()).ok());
  EXPECT_EQ(reader->notes().empty(), GetParam() == Backend::kUring && reader->direct(*id))
      << reader->notes();
  int64_t offset = 0;
  for (const TestMemory* memory : {&first, &second, &other}) {
    ASSERT_TRUE(reader->submit({*id, offset, 1 << 20, memory->data(), 0}).ok());
    EXPECT_EQ(reader->register_memory(other.all()).error().code, ErrorCode::kInvalid);
    EXPECT_TRUE(finish(*reader, 1)[0].status.ok());
    EXPECT_EQ(first_wrong(memory->data(), offset, 1 << 20), -1);
    offset += 1 << 19;
  }
}

TEST_P(ReaderTest, ReadsOnWhereMemoryCannotBeRegistered) {
  const TestFile file(1 << 16);
  const auto reader = make();
  const auto id = reader->open(file.path());
  ASSERT_TRUE(id.ok());
  const TestMemory good(1 << 16);
  ASSERT_TRUE(reader->register_memory(good.all()).ok());
  void* refused = ::mmap(nullptr, 1 << 16, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(refused, MAP_FAILED);
  EXPECT_TRUE(reader->register_memory({static_cast<std::byte*>(refused), 1 << 16}).ok());
  EXPECT_THAT(reader->notes(), HasSubstr("memory is not registered"));
  ASSERT_TRUE(reader->submit({*id, 0, 1 << 16, good.data(), 0}).ok());
  EXPECT_TRUE(finish(*reader, 1)[0].status.ok());
  EXPECT_EQ(first_wrong(good.data(), 0, 1 << 16), -1);
  ::munmap(refused, 1 << 16);
}

INSTANTIATE_TEST_SUITE_P(Each, ReaderTest, ::testing::Values(Backend::kUring, Backend::kThreads),
                         backend_name);

}  // namespace
}  // namespace sluice::io
