#include "engine/streamed_kv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "engine/host_kv.h"

namespace sluice::engine {
namespace {

using ::testing::ElementsAre;

constexpr int64_t kTokens = 16;

// Two layers, eight blocks of which two stay, windows of five blocks.
class StreamedKvTest : public ::testing::Test {
 protected:
  StreamedKvTest() {
    home_ = memory::KvCache::create(layouts_, 6).value();
    kv_ = StreamedKv::create({.layers = layouts_,
                              .blocks = 8,
                              .resident = 2,
                              .window_blocks = 5,
                              .micro_batches = 3,
                              .sequences = 2,
                              .rows = 40,
                              .sequence_blocks = 4})
              .value();
    host_.emplace(*kv_, home_);
    for (int layer = 0; layer < 2; ++layer) {
      for (int64_t block = 2; block < 8; ++block) {
        std::memset(home(layer, block), static_cast<int>(10 * layer + block), bytes());
      }
    }
  }

  size_t bytes() const { return static_cast<size_t>(layouts_[0].block_bytes()); }
  std::byte* home(int layer, int64_t block) const {
    return home_.layer(layer).base + (block - 2) * home_.layer(layer).block_stride;
  }
  std::byte* device(int64_t place) const {
    const kernels::KvLayerView& view = kv_->views()[0];
    return view.base + place * view.block_stride;
  }

  // Two sequences that share their first block: one token more, and a chunk of 20.
  void make_batch() {
    tables_ = {4, 6, 1, 4, 7, 3};
    sequences_ = {{.first_row = 0, .rows = 1, .first_position = 32, .blocks = tables_.data()},
                  {.first_row = 1, .rows = 20, .first_position = 20, .blocks = tables_.data() + 3}};
    slots_ = {1 * kTokens};
    for (int64_t p = 20; p < 40; ++p) {
      slots_.push_back(tables_[static_cast<size_t>(3 + p / kTokens)] * kTokens + p % kTokens);
    }
    ids_.resize(21);
    batch_ = {.token_ids = ids_,
              .positions = {},
              .kv_slots = slots_,
              .sequences = sequences_,
              .logit_rows = {}};
  }

  const std::vector<kernels::KvLayout> layouts_ = {
      {.kv_heads = 1, .key_dim = 8, .value_dim = 8, .block_tokens = kTokens},
      {.kv_heads = 1, .key_dim = 8, .value_dim = 8, .block_tokens = kTokens}};
  memory::KvCache home_;
  std::unique_ptr<StreamedKv> kv_;
  std::optional<HostKv> host_;
  memory::KvBlocks owners_{8, kTokens};
  std::vector<int32_t> tables_, ids_;
  std::vector<int64_t> slots_;
  std::vector<models::SequenceRows> sequences_;
  models::BatchView batch_;
};

TEST_F(StreamedKvTest, SaysWhatMoves) {
  make_batch();
  // 4, 6 and 7 hold earlier tokens, 3 will hold new ones; 1 stays on the device, and so does the
  // first sequence's new token.
  EXPECT_EQ(kv_->place(0, batch_, owners_),
            (schedule::KvMoves{.blocks = 4, .arriving_blocks = 3, .leaving_tokens = 20}));
  EXPECT_EQ(memory::streamed_kv_bytes(layouts_, 64, 2, 5),
            (2 * 2 + 2 * 5) * static_cast<int64_t>(bytes()));
}

TEST_F(StreamedKvTest, NothingMovesOfWhatStays) {
  make_batch();
  tables_ = {0, 1, 1, 0, 1, 0};
  for (int64_t& slot : slots_) slot %= 2 * kTokens;
  EXPECT_EQ(kv_->place(0, batch_, owners_), schedule::KvMoves{});
  const models::BatchView there = kv_->there(0, 1, batch_);
  EXPECT_EQ(there.sequences[0].blocks[0], 2);  // behind layer 0's two
  EXPECT_EQ(there.sequences[0].blocks[1], 3);
}

TEST_F(StreamedKvTest, BringsBlocksOnceAndTakesNewTokensHome) {
  make_batch();
  kv_->place(1, batch_, owners_);
  ASSERT_TRUE(kv_->windows().claim(1, 1));
  host_->bring(1, 1);
  const models::BatchView there = kv_->there(1, 1, batch_);
  const int32_t* first = there.sequences[0].blocks;
  const int32_t* second = there.sequences[1].blocks;
  EXPECT_EQ(first[0], second[0]);
  EXPECT_EQ(first[2], 3);
  for (const auto& [place, block] : {std::pair{first[0], 4}, {first[1], 6}, {second[1], 7}}) {
    EXPECT_EQ(std::memcmp(device(place), home(1, block), bytes()), 0) << block;
  }
  // Token 20 + t of the second sequence lies where its row says.
  for (int64_t t = 0; t < 20; ++t) {
    const int64_t p = 20 + t;
    EXPECT_EQ(there.kv_slots[static_cast<size_t>(1 + t)],
              second[p / kTokens] * kTokens + p % kTokens);
  }
  std::memset(device(second[1]), 77, bytes());
  std::memset(device(second[2]), 78, bytes());
  std::memset(device(first[1]), 79, bytes());
  host_->take_home(1, 1, batch_);
  // Tokens 4 to 15 of block 7 and 0 to 7 of block 3, and no other.
  const kernels::KvLayout& layout = layouts_[1];
  for (int64_t t = 0; t < kTokens; ++t) {
    const auto at = static_cast<size_t>(layout.value_at(t));
    EXPECT_EQ(static_cast<int>(home(1, 7)[at]), t >= 4 ? 77 : 17) << t;
    EXPECT_EQ(static_cast<int>(home(1, 3)[at]), t < 8 ? 78 : 13) << t;
  }
  EXPECT_EQ(static_cast<int>(home(1, 6)[0]), 16);
  EXPECT_EQ(static_cast<int>(home(0, 7)[0]), 7);
}

TEST_F(StreamedKvTest, HasTwoWindows) {
  make_batch();
  for (size_t flight = 0; flight < 3; ++flight) kv_->place(flight, batch_, owners_);
  EXPECT_TRUE(kv_->windows().claim(0, 0));
  EXPECT_TRUE(kv_->windows().claim(1, 0));
  EXPECT_FALSE(kv_->windows().claim(2, 0));
  const int32_t place = kv_->there(0, 0, batch_).sequences[0].blocks[0];
  EXPECT_NE(kv_->there(1, 0, batch_).sequences[0].blocks[0], place);
  EXPECT_EQ(kv_->windows().used(), 2);
  kv_->windows().release(0, 0);
  EXPECT_TRUE(kv_->windows().claim(2, 0));
  EXPECT_EQ(kv_->there(2, 0, batch_).sequences[0].blocks[0], place);
  kv_->windows().release_all(2);
  kv_->windows().release_all(0);
  EXPECT_EQ(kv_->windows().used(), 1);
}

// A window in which something moves is nobody's when its iteration has failed, until that has
// ended.
TEST_F(StreamedKvTest, AWindowThatMovesOutlivesItsIteration) {
  make_batch();
  kv_->place(0, batch_, owners_);
  ASSERT_TRUE(kv_->windows().claim(0, 0));
  const int window = kv_->windows().of(0, 0);
  kv_->windows().begin_move(window);
  kv_->windows().release_all(0);
  EXPECT_EQ(kv_->windows().of(0, 0), -1);
  EXPECT_EQ(kv_->windows().stalled(), 1);
  ASSERT_TRUE(kv_->windows().claim(0, 0));
  EXPECT_NE(kv_->windows().of(0, 0), window);
  EXPECT_FALSE(kv_->windows().claim(0, 1));
  kv_->windows().end_move(window);
  EXPECT_EQ(kv_->windows().stalled(), 0);
  EXPECT_TRUE(kv_->windows().claim(0, 1));
}

}  // namespace
}  // namespace sluice::engine
