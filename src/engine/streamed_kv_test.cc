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
  ASSERT_TRUE(kv_->claim(1, 1));
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
  EXPECT_TRUE(kv_->claim(0, 0));
  EXPECT_TRUE(kv_->claim(1, 0));
  EXPECT_FALSE(kv_->claim(2, 0));
  const int32_t place = kv_->there(0, 0, batch_).sequences[0].blocks[0];
  EXPECT_NE(kv_->there(1, 0, batch_).sequences[0].blocks[0], place);
  EXPECT_EQ(kv_->used_windows(), 2);
  kv_->release(0, 0);
  EXPECT_TRUE(kv_->claim(2, 0));
  EXPECT_EQ(kv_->there(2, 0, batch_).sequences[0].blocks[0], place);
  kv_->release_all(2);
  kv_->release_all(0);
  EXPECT_EQ(kv_->used_windows(), 1);
}

// A window in which something moves is nobody's when its iteration has failed, until that has
// ended.
TEST_F(StreamedKvTest, AWindowThatMovesOutlivesItsIteration) {
  make_batch();
  kv_->place(0, batch_, owners_);
  ASSERT_TRUE(kv_->claim(0, 0));
  const int window = kv_->window_of(0, 0);
  kv_->begin_move(window);
  kv_->release_all(0);
  EXPECT_EQ(kv_->window_of(0, 0), -1);
  EXPECT_EQ(kv_->stalled_windows(), 1);
  ASSERT_TRUE(kv_->claim(0, 0));
  EXPECT_NE(kv_->window_of(0, 0), window);
  EXPECT_FALSE(kv_->claim(0, 1));
  kv_->end_move(window);
  EXPECT_EQ(kv_->stalled_windows(), 0);
  EXPECT_TRUE(kv_->claim(0, 1));
}

// One layer, six blocks of which one stays, two tails: a home that takes whole blocks.
class StreamedKvTails : public ::testing::Test {
 protected:
  StreamedKvTails() {
    for (int i = 0; i < 6; ++i) blocks_.push_back(owners_.allocate());
    std::ranges::sort(blocks_);
  }

  // The rows of sequences, each [first position, rows] over a table of blocks.
  struct Rows {
    int64_t first = 0, rows = 0;
    std::vector<int32_t> blocks{};
  };
  schedule::KvMoves place(const std::vector<Rows>& all) {
    rows_ = all;
    sequences_.clear();
    slots_.clear();
    int64_t row = 0;
    for (const Rows& one : rows_) {
      sequences_.push_back({.first_row = row,
                            .rows = one.rows,
                            .first_position = one.first,
                            .blocks = one.blocks.data()});
      row += one.rows;
      for (int64_t p = one.first; p < one.first + one.rows; ++p) {
        slots_.push_back(one.blocks[static_cast<size_t>(p / kTokens)] * kTokens + p % kTokens);
      }
    }
    return kv_->place(0,
                      {.token_ids = {},
                       .positions = {},
                       .kv_slots = slots_,
                       .sequences = sequences_,
                       .logit_rows = {}},
                      owners_);
  }
  std::vector<int32_t> leaving() const {
    std::vector<int32_t> all;
    for (const StreamedKv::Leaving& one : kv_->leaving(0)) all.push_back(one.block);
    return all;
  }

  memory::KvBlocks owners_{6, kTokens};
  std::unique_ptr<StreamedKv> kv_ =
      StreamedKv::create(
          {.layers = {{.kv_heads = 1, .key_dim = 8, .value_dim = 8, .block_tokens = kTokens}},
           .blocks = 6,
           .resident = 1,
           .tails = 2,
           .window_blocks = 5,
           .micro_batches = 1,
           .sequences = 2,
           .rows = 64,
           .sequence_blocks = 4})
          .value();
  std::vector<int32_t> blocks_;
  std::vector<Rows> rows_;
  std::vector<models::SequenceRows> sequences_;
  std::vector<int64_t> slots_;
};

TEST_F(StreamedKvTails, ABlockStaysUntilItIsFullAndLeavesOnce) {
  // A chunk of 20: a whole block, which goes at once, and the beginning of another.
  EXPECT_EQ(place({{0, 20, {2, 3}}}),
            (schedule::KvMoves{.blocks = 1, .leaving_tokens = 20, .leaving_blocks = 1}));
  EXPECT_THAT(leaving(), ElementsAre(2));
  const int32_t tail = kv_->entries(0)[1];
  EXPECT_LT(tail, kv_->first_in_window());
  for (int64_t p = 20; p < 31; ++p) {
    EXPECT_EQ(place({{p, 1, {2, 3}}}),
              (schedule::KvMoves{.blocks = 1, .arriving_blocks = 1, .leaving_tokens = 1}));
    EXPECT_THAT(kv_->arriving(0), ElementsAre(2));
    EXPECT_EQ(kv_->entries(0)[1], tail);
  }
  // The last token of the second block; an iteration that is done again finds it where it was.
  for (int times = 0; times < 2; ++times) {
    EXPECT_EQ(place({{31, 1, {2, 3}}}),
              (schedule::KvMoves{
                  .blocks = 2, .arriving_blocks = 1, .leaving_tokens = 1, .leaving_blocks = 1}));
    EXPECT_THAT(leaving(), ElementsAre(3));
    EXPECT_EQ(kv_->leaving(0)[0].entry, tail);
  }
  EXPECT_EQ(place({{32, 1, {2, 3, 5}}}),
            (schedule::KvMoves{.blocks = 2, .arriving_blocks = 2, .leaving_tokens = 1}));
  EXPECT_THAT(kv_->arriving(0), ElementsAre(2, 3));
}

TEST_F(StreamedKvTails, ResidentBlocksNeverMove) {
  EXPECT_EQ(place({{0, 16, {0}}}), schedule::KvMoves{});
  EXPECT_EQ(place({{16, 3, {0, 4}}}), (schedule::KvMoves{.leaving_tokens = 3}));
  EXPECT_EQ(kv_->entries(0)[0], 0);
}

TEST_F(StreamedKvTails, ATailThatIsNobodysIsTakenByAnother) {
  place({{0, 3, {1}}, {0, 5, {2}}});
  const int32_t gone = kv_->entries(0)[1];
  const int32_t ended[] = {2};
  owners_.release(ended);
  place({{3, 1, {1}}, {0, 7, {4}}});
  EXPECT_EQ(kv_->entries(0)[1], gone);
  // One that was published is full, and has gone home.
  const int32_t kept = kv_->entries(0)[0];
  const std::vector<int32_t> tokens(kTokens, 7);
  ASSERT_EQ(owners_.publish(1, memory::kNoBlock, tokens, 0), 1);
  place({{0, 9, {5}}});
  EXPECT_EQ(kv_->entries(0)[0], kept);
}

// Whoever holds the block now may have another tail, and no rows yet for this block.
TEST_F(StreamedKvTails, ATailWhoseBlockIsSomebodyElsesIsTakenByAnother) {
  place({{0, 3, {1}}, {0, 5, {2}}});
  const int32_t gone = kv_->entries(0)[1];
  const int32_t set_back[] = {2};
  owners_.release(set_back);
  ASSERT_EQ(owners_.allocate(), 2);
  place({{3, 1, {1, 2}}, {0, 7, {4}}});
  EXPECT_EQ(kv_->entries(0)[1], gone);
}

TEST_F(StreamedKvTails, ABlockThatBeginsAnewForgetsItsTail) {
  place({{0, 3, {1}}});
  EXPECT_LT(kv_->entries(0)[0], kv_->first_in_window());
  // Set back, and given to a chunk that fills it.
  EXPECT_EQ(place({{0, 16, {1}}}),
            (schedule::KvMoves{.blocks = 1, .leaving_tokens = 16, .leaving_blocks = 1}));
  EXPECT_EQ(kv_->entries(0)[0], kv_->first_in_window());
}

}  // namespace
}  // namespace sluice::engine
