// Devices that read short, stall, fail and lie, for both backends.
#include <gmock/gmock.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>

#include "io/faults.h"
#include "io/reader.h"
#include "io/test_file.h"

namespace sluice::io {
namespace {

using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

constexpr int64_t kPage = kDirectAlignment;

class ReaderFaults : public ReaderTest {
 protected:
  // One request of the whole file, or one for each `bytes` of it.
  void submit_all(Reader& reader, const TestFile& file, const TestMemory& memory, int64_t bytes) {
    for (int64_t at = 0; at < file.bytes(); at += bytes) {
      const int64_t size = std::min(bytes, file.bytes() - at);
      const auto user = static_cast<uint64_t>(at / bytes);
      ASSERT_TRUE(reader.submit({0, at, size, memory.data() + at, user}).ok());
    }
  }
};

// Every read is short, and every third is interrupted first.
class ShortReads : public Faults {
 public:
  explicit ShortReads(int64_t most) : most_(most) {}
  Fault of_read(FileId, int64_t, int64_t) override {
    const int what = static_cast<int>(count_++ % 3);
    Fault fault;
    if (what == 0) fault.error = count_ % 2 == 0 ? EINTR : EAGAIN;
    if (what == 1) fault.most_bytes = most_;
    if (what == 2) fault.most_bytes = 2 * most_;
    return fault;
  }
  int64_t count() const { return count_; }

 private:
  int64_t most_;
  int64_t count_ = 0;
};

TEST_P(ReaderFaults, ShortReadsGoOn) {
  const TestFile file(300'000);
  for (const bool direct : {true, false}) {
    ShortReads faults(direct ? 5000 : 777);
    const auto reader =
        make({.queue_depth = 3, .read_bytes = 1 << 16, .direct = direct, .faults = &faults});
    ASSERT_TRUE(reader->open(file.path()).ok());
    const TestMemory memory(file.bytes());
    submit_all(*reader, file, memory, 20 * kPage);
    for (const Completion& ended : finish(*reader, 4)) {
      EXPECT_TRUE(ended.status.ok()) << ended.status.error().message;
    }
    EXPECT_EQ(first_wrong(memory.data(), 0, file.bytes()), -1);
    EXPECT_GT(faults.count(), 30);
  }
}

TEST_P(ReaderFaults, AFailedPlaceFailsItsRequestAlone) {
  const TestFile file(64 * kPage);
  ListedFaults faults;
  faults.add({0, 21 * kPage + 5, {.error = EIO}});
  // One slot: what waits behind the first is merged, the failed place among it.
  const auto reader = make({.queue_depth = 1, .read_bytes = 32 * kPage, .faults = &faults});
  ASSERT_TRUE(reader->open(file.path()).ok());
  const TestMemory memory(file.bytes());
  submit_all(*reader, file, memory, kPage);
  for (const Completion& ended : finish(*reader, 64)) {
    const auto at = static_cast<int64_t>(ended.user) * kPage;
    if (ended.user != 21) {
      EXPECT_TRUE(ended.status.ok()) << ended.status.error().message;
      EXPECT_EQ(first_wrong(memory.data() + at, at, kPage), -1);
      continue;
    }
    ASSERT_FALSE(ended.status.ok());
    EXPECT_EQ(ended.status.error().code, ErrorCode::kIo);
    EXPECT_THAT(ended.status.error().message, HasSubstr(file.path().string()));
    EXPECT_THAT(ended.status.error().message, HasSubstr("4096 bytes at offset 86016"));
    EXPECT_THAT(ended.status.error().message, HasSubstr("Input/output error"));
  }
}

TEST_P(ReaderFaults, WhatIsLeftOfAFailedRequestIsNotRead) {
  const TestFile file(64 * kPage);
  ListedFaults faults;
  faults.add({0, 2 * kPage, {.error = EIO}});
  const auto reader = make({.queue_depth = 1, .read_bytes = kPage, .faults = &faults});
  ASSERT_TRUE(reader->open(file.path()).ok());
  const TestMemory memory(file.bytes());
  submit_all(*reader, file, memory, file.bytes());
  EXPECT_FALSE(finish(*reader, 1)[0].status.ok());
  EXPECT_EQ(first_wrong(memory.data(), 0, 2 * kPage), -1);
  EXPECT_TRUE(std::ranges::all_of(memory.all().subspan(2 * kPage),
                                  [](std::byte value) { return value == std::byte{0}; }));
}

TEST_P(ReaderFaults, ADeviceThatSaysAgainForEverHasFailed) {
  const TestFile file(kPage);
  ListedFaults faults;
  faults.add({0, 0, {.error = EAGAIN}});
  const auto reader = make({.faults = &faults});
  ASSERT_TRUE(reader->open(file.path()).ok());
  const TestMemory memory(kPage);
  submit_all(*reader, file, memory, kPage);
  const auto ended = finish(*reader, 1);
  ASSERT_FALSE(ended[0].status.ok());
  EXPECT_EQ(ended[0].status.error().code, ErrorCode::kIo);
}

TEST_P(ReaderFaults, AStalledReadHoldsUpNoOther) {
  const TestFile file(8 * kPage);
  ListedFaults faults;
  faults.add({0, 0, {.stall_ms = 1000}});
  const auto reader = make({.read_bytes = kPage, .faults = &faults});
  ASSERT_TRUE(reader->open(file.path()).ok());
  const TestMemory memory(file.bytes());
  const auto start = Clock::now();
  submit_all(*reader, file, memory, kPage);
  const auto first = finish(*reader, 7);
  for (const Completion& ended : first) EXPECT_NE(ended.user, 0u);
  std::vector<Completion> last(1);
  EXPECT_EQ(reader->wait(last, 1), 0u);
  ASSERT_EQ(reader->wait(last, 60'000), 1u);
  EXPECT_EQ(last[0].user, 0u);
  EXPECT_TRUE(last[0].status.ok());
  EXPECT_GE(Clock::now() - start, std::chrono::milliseconds(1000));
  EXPECT_EQ(first_wrong(memory.data(), 0, file.bytes()), -1);
}

TEST_P(ReaderFaults, AFlippedBitArrives) {
  const TestFile file(4 * kPage);
  ListedFaults faults;
  faults.add({0, 2 * kPage, {.flipped_bit = 8 * 1234 + 3}, 1});
  const auto reader = make({.read_bytes = kPage, .faults = &faults});
  ASSERT_TRUE(reader->open(file.path()).ok());
  const TestMemory memory(file.bytes());
  submit_all(*reader, file, memory, file.bytes());
  EXPECT_TRUE(finish(*reader, 1)[0].status.ok());
  const int64_t wrong = first_wrong(memory.data(), 0, file.bytes());
  ASSERT_EQ(wrong, 2 * kPage + 1234);
  EXPECT_EQ(memory.data()[wrong] ^ byte_at(wrong), std::byte{1 << 3});
  EXPECT_EQ(first_wrong(memory.data() + wrong + 1, wrong + 1, file.bytes() - wrong - 1), -1);
}

TEST_P(ReaderFaults, AReaderEndsWhileReadsAreStalled) {
  const TestFile file(8 * kPage);
  ListedFaults faults;
  faults.add({0, 0, {.stall_ms = 3'600'000}});
  faults.add({0, kPage, {.error = EIO, .stall_ms = 3'600'000}});
  auto reader = make({.read_bytes = kPage, .faults = &faults});
  ASSERT_TRUE(reader->open(file.path()).ok());
  const TestMemory memory(file.bytes());
  submit_all(*reader, file, memory, kPage);
  finish(*reader, 6);
  const auto start = Clock::now();
  reader.reset();
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(60));
}

INSTANTIATE_TEST_SUITE_P(Each, ReaderFaults, ::testing::Values(Backend::kUring, Backend::kThreads),
                         backend_name);

TEST(ListedFaults, HitTheReadsThatHoldTheirByte) {
  ListedFaults faults;
  faults.add({1, 100, {.error = EIO}, 2});
  faults.add({1, 150, {.stall_ms = 5}});
  EXPECT_EQ(faults.of_read(0, 0, 1000), Fault{});
  EXPECT_EQ(faults.of_read(1, 0, 100), Fault{});
  EXPECT_EQ(faults.of_read(1, 101, 49), Fault{});
  EXPECT_EQ(faults.of_read(1, 100, 1).error, EIO);
  EXPECT_EQ(faults.of_read(1, 0, 200).error, EIO);
  EXPECT_EQ(faults.of_read(1, 0, 200).stall_ms, 5);
}

}  // namespace
}  // namespace sluice::io
