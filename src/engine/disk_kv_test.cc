// Keys and values on disk: what is written comes back, and what is late hinders what it must.
#include "engine/disk_kv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>

#include "base/test_path.h"
#include "io/faults.h"

namespace sluice::engine {
namespace {

using ::testing::HasSubstr;
using Start = DiskKv::Start;

constexpr int64_t kTokens = 16;
constexpr int64_t kPlace = 4096;

// Two layers of a cache of six blocks, none of which is resident; two micro-batches of one
// sequence.
class DiskKvTest : public ::testing::Test {
 protected:
  void make(io::Faults* faults = nullptr) {
    kv_ = StreamedKv::create({.layers = {kLayout, kLayout},
                              .blocks = 6,
                              .tails = 2,
                              .window_blocks = 3,
                              .micro_batches = 2,
                              .sequences = 1,
                              .rows = 48,
                              .sequence_blocks = 4,
                              .alignment = memory::kDiskKvAlignment})
              .value();
    reader_ =
        io::Reader::create({.max_requests = DiskKv::most_requests(*kv_), .faults = faults}).value();
    disk_ = DiskKv::create(*kv_,
                           {.reader = reader_.get(),
                            .times = &times_,
                            .clock = &clock_,
                            .timeout = std::chrono::milliseconds(30)},
                           ::testing::TempDir())
                .value();
    for (int i = 0; i < 6; ++i) owners_.allocate();
  }

  // An iteration of a sequence over these blocks.
  void place(size_t flight, int64_t first, int64_t rows, std::vector<int32_t> blocks) {
    tables_[flight] = std::move(blocks);
    sequences_[flight] = {
        .first_row = 0, .rows = rows, .first_position = first, .blocks = tables_[flight].data()};
    slots_.assign(static_cast<size_t>(rows), 0);
    kv_->place(flight,
               {.token_ids = {},
                .positions = {},
                .kv_slots = slots_,
                .sequences = {&sequences_[flight], 1},
                .logit_rows = {}},
               owners_);
  }
  std::byte* at(size_t flight, int layer, size_t index) {
    return kv_->place_of(kv_->entries(flight)[index], layer, kv_->windows().of(flight, layer));
  }

  // Until a task ends, or what is late has; how the task ended, if one did.
  std::optional<Status> finish() {
    std::array<io::Completion, 4> ended;
    for (int i = 0; i < 100 && disk_->moving(); ++i) {
      const size_t count = reader_->wait(ended, 1000);
      for (size_t j = 0; j < count; ++j) {
        if (auto done = disk_->finish(ended[j].user, ended[j].status)) return done->second;
      }
    }
    return std::nullopt;
  }
  Status moved(const Result<Start>& started) {
    if (!started.ok()) return started.error();
    if (*started == Start::kDone) return {};
    return finish().value_or(Error{ErrorCode::kTimeout, "no task has ended"});
  }
  // Blocks 0 to 2 are filled in both layers, each place with a byte of its own.
  void fill(size_t flight) {
    place(flight, 0, 48, {0, 1, 2});
    for (int layer = 0; layer < 2; ++layer) {
      ASSERT_TRUE(moved(disk_->arrive(flight, layer, true)).ok());
      for (size_t i = 0; i < 3; ++i)
        std::memset(at(flight, layer, i), static_cast<int>(10 * layer + static_cast<int>(i) + 1),
                    kPlace);
      ASSERT_TRUE(moved(disk_->leave(flight, layer, true)).ok());
    }
  }

  // Both micro-batches' reads are given up, and what comes next waits for them.
  void stall_both() {
    fill(0);
    for (size_t flight = 0; flight < 2; ++flight) {
      place(flight, 48, 1, {0, 1, 2, static_cast<int32_t>(3 + flight)});
      ASSERT_EQ(disk_->arrive(flight, 0, true).value(), Start::kStarted);
      disk_->give_up(disk_->window_of(flight, 0));
      kv_->windows().release_all(flight);
    }
    ASSERT_EQ(disk_->arrive(0, 1, true).value(), Start::kNoRoom);
    ASSERT_TRUE(disk_->waits_until().has_value());
  }

  static constexpr kernels::KvLayout kLayout{
      .kv_heads = 1, .key_dim = 8, .value_dim = 8, .block_tokens = kTokens};
  const base::Clock& clock_ = base::steady_clock();
  LaneTimes times_;
  memory::KvBlocks owners_{6, kTokens};
  std::unique_ptr<StreamedKv> kv_;
  std::unique_ptr<io::Reader> reader_;
  std::unique_ptr<DiskKv> disk_;
  std::array<std::vector<int32_t>, 2> tables_;
  std::array<models::SequenceRows, 2> sequences_;
  std::vector<int64_t> slots_;
};

TEST_F(DiskKvTest, WhatWasWrittenComesBack) {
  make();
  fill(0);
  EXPECT_EQ(disk_->bytes_written(), 6 * kPlace);
  EXPECT_EQ(kv_->windows().used(), 0);
  // Another micro-batch, in another order, beside a block of its own.
  place(1, 32, 1, {2, 0, 4});
  for (int layer = 1; layer >= 0; --layer) {
    ASSERT_TRUE(moved(disk_->arrive(1, layer, true)).ok());
    EXPECT_EQ(static_cast<int>(at(1, layer, 0)[kPlace - 1]), 10 * layer + 3);
    EXPECT_EQ(static_cast<int>(at(1, layer, 1)[0]), 10 * layer + 1);
    const auto left = disk_->leave(1, layer, true);
    ASSERT_TRUE(left.ok());
    EXPECT_EQ(*left, Start::kDone);  // nothing became full
  }
  EXPECT_EQ(disk_->bytes_read(), 4 * kPlace);
  EXPECT_EQ(disk_->bytes_written(), 6 * kPlace);
}

TEST_F(DiskKvTest, TwoWindowsAndNoMore) {
  make();
  fill(0);
  place(0, 48, 1, {0, 1, 2, 3});
  place(1, 48, 1, {0, 1, 2, 4});
  ASSERT_TRUE(moved(disk_->arrive(0, 0, true)).ok());
  ASSERT_TRUE(moved(disk_->arrive(1, 0, true)).ok());
  EXPECT_EQ(disk_->arrive(0, 1, true).value(), Start::kNoRoom);
}

TEST_F(DiskKvTest, ABitThatIsWrongIsReadAgainThenSaid) {
  io::ListedFaults faults;
  faults.add({.offset = kPlace, .fault = {.flipped_bit = 77}, .uses = 2});
  faults.add({.offset = 7 * kPlace, .fault = {.flipped_bit = 5}});
  make(&faults);
  fill(0);
  place(0, 48, 1, {0, 1, 2, 3});
  EXPECT_TRUE(moved(disk_->arrive(0, 0, true)).ok());
  EXPECT_EQ(disk_->retries(), 2);
  EXPECT_FALSE(disk_->failed_block(0));
  kv_->windows().release_all(0);
  const Status wrong = moved(disk_->arrive(0, 1, true));
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(wrong.error().message, HasSubstr("block 1 in layer 1"));
  EXPECT_EQ(disk_->failed_block(0), 1);
  EXPECT_TRUE(disk_->doubtful(1));
  EXPECT_FALSE(disk_->doubtful(0));
}

TEST_F(DiskKvTest, AWriteThatFailsIsSaidAndDoneAgain) {
  io::ListedFaults faults;
  faults.add({.offset = 0, .fault = {.error = EIO}, .uses = 3, .of_writes = true});
  make(&faults);
  place(0, 0, 16, {0});
  ASSERT_TRUE(moved(disk_->arrive(0, 0, true)).ok());
  const Status wrong = moved(disk_->leave(0, 0, true));
  ASSERT_FALSE(wrong.ok());
  EXPECT_THAT(wrong.error().message, HasSubstr("cannot write"));
  EXPECT_EQ(disk_->failed_block(0), 0);
  EXPECT_EQ(kv_->windows().used(), 1);  // its iteration's, which ends now
  kv_->windows().release_all(0);
  ASSERT_TRUE(moved(disk_->arrive(0, 0, true)).ok());
  EXPECT_TRUE(moved(disk_->leave(0, 0, true)).ok());
  EXPECT_FALSE(disk_->doubtful(0));
}

// A write that nobody waits for may come at any time: nobody reads or writes its block until it
// has.
TEST_F(DiskKvTest, ALateWriteHindersItsBlockAlone) {
  io::ListedFaults faults;
  faults.add({.offset = kPlace, .fault = {.stall_ms = 300}, .uses = 1, .of_writes = true});
  make(&faults);
  place(0, 0, 48, {0, 1, 2});
  ASSERT_TRUE(moved(disk_->arrive(0, 0, true)).ok());
  ASSERT_EQ(disk_->leave(0, 0, true).value(), Start::kStarted);
  disk_->give_up(disk_->window_of(0, 0));
  EXPECT_EQ(disk_->outlived(), 1);
  kv_->windows().release_all(0);
  EXPECT_EQ(kv_->windows().stalled(), 1);
  place(0, 0, 48, {0, 1, 2});
  ASSERT_TRUE(moved(disk_->arrive(0, 0, true)).ok());
  ASSERT_EQ(disk_->leave(0, 0, true).value(), Start::kNoRoom);
  clock_.sleep_until(*disk_->waits_until());
  const auto hindered = disk_->leave(0, 0, true);
  ASSERT_FALSE(hindered.ok());
  EXPECT_THAT(hindered.error().message, HasSubstr("in layer 0 have been on their way"));
  kv_->windows().release_all(0);
  place(1, 0, 16, {5});
  ASSERT_TRUE(moved(disk_->arrive(1, 0, true)).ok());
  EXPECT_TRUE(moved(disk_->leave(1, 0, true)).ok());
  EXPECT_FALSE(finish().has_value());  // the late write ends for nobody
  EXPECT_EQ(kv_->windows().stalled(), 0);
  EXPECT_EQ(disk_->outlived(), 0);
  fill(0);
}

TEST_F(DiskKvTest, SaysWhenAllWindowsHaveStalled) {
  io::ListedFaults faults;
  faults.add({.offset = 0, .fault = {.stall_ms = 3'600'000}});
  make(&faults);
  stall_both();
  clock_.sleep_until(*disk_->waits_until());
  const auto stalled = disk_->arrive(0, 1, true);
  ASSERT_FALSE(stalled.ok());
  EXPECT_EQ(stalled.error().code, ErrorCode::kTimeout);
}

// Where a window only has another user, nothing has stalled, and the wait begins anew another time.
TEST_F(DiskKvTest, AWaitForStalledWindowsEndsWithThem) {
  io::ListedFaults faults;
  faults.add({.offset = 0, .fault = {.stall_ms = 50}, .uses = 1});
  faults.add({.offset = 0, .fault = {.stall_ms = 3'600'000}});
  make(&faults);
  stall_both();
  std::array<io::Completion, 4> ended;
  for (int i = 0; i < 100 && kv_->windows().stalled() == 2; ++i) {
    const size_t count = reader_->wait(ended, 100);
    for (size_t j = 0; j < count; ++j) disk_->finish(ended[j].user, ended[j].status);
  }
  ASSERT_EQ(kv_->windows().stalled(), 1);
  ASSERT_TRUE(kv_->windows().claim(1, 1));
  EXPECT_EQ(disk_->arrive(0, 1, true).value(), Start::kNoRoom);
  EXPECT_FALSE(disk_->waits_until().has_value());
}

}  // namespace
}  // namespace sluice::engine
