// A home that takes whole blocks, as a disk does: what stays until it is full, and attention in
// parts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/streamed_kv.h"

namespace sluice::engine {
namespace {

using ::testing::ElementsAre;

constexpr int64_t kTokens = 16;

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

// As many sequences in a part as find room in the window, and what they share comes once to each.
TEST_F(StreamedKvTails, AttendsInPartsThatAWindowHolds) {
  constexpr int64_t kFull = 3 * kTokens;
  owners_ = memory::KvBlocks(10, kTokens);
  for (int i = 0; i < 10; ++i) owners_.allocate();
  kv_ = StreamedKv::create(
            {.layers = {{.kv_heads = 1, .key_dim = 8, .value_dim = 8, .block_tokens = kTokens}},
             .blocks = 10,
             .tails = 4,
             .window_blocks = 4,
             .micro_batches = 1,
             .sequences = 4,
             .rows = 64,
             .sequence_blocks = 4})
            .value();
  // The third one's last block is being filled.
  place({{kFull - kTokens, 1, {4, 0, 5}}});
  // Of three blocks each, two of them the same; of three others; and of one that is new and full.
  const schedule::KvMoves moves = place({{kFull, 1, {0, 1, 2, 6}},
                                         {kFull, 1, {0, 1, 3, 7}},
                                         {kFull - 1, 1, {4, 0, 5}},
                                         {0, kTokens, {8}}});
  EXPECT_EQ(moves.parts, 2);
  EXPECT_EQ(moves.arriving_blocks, 4 + 2);
  EXPECT_EQ(moves.leaving_blocks, 2);
  const auto parts = kv_->parts(0);
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].sequences, 2);
  EXPECT_EQ(parts[1].first, 2);
  EXPECT_EQ(parts[1].rows, 1 + kTokens);
  EXPECT_EQ(parts[1].context_tokens, kFull + kTokens);
  EXPECT_THAT(kv_->arriving(0, 0), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(kv_->arriving(0, 1), ElementsAre(0, 4));
  ASSERT_EQ(kv_->leaving(0, 0).size(), 0u);
  ASSERT_EQ(kv_->leaving(0, 1).size(), 2u);
  EXPECT_EQ(kv_->leaving(0, 1)[0].block, 5);  // from its tail
  EXPECT_LT(kv_->leaving(0, 1)[0].entry, kv_->first_in_window());
  EXPECT_EQ(kv_->leaving(0, 1)[1].block, 8);
  EXPECT_EQ(kv_->leaving(0, 1)[1].entry, kv_->first_in_window() + 2);
  ASSERT_TRUE(kv_->windows().claim(0, 0, 0));
  ASSERT_TRUE(kv_->windows().claim(0, 0, 1));
  EXPECT_NE(kv_->windows().of(0, 0, 0), kv_->windows().of(0, 0, 1));
  const std::vector<int32_t> ids(3 + kTokens);
  const models::BatchView batch{.token_ids = ids,
                                .positions = ids,
                                .kv_slots = slots_,
                                .sequences = sequences_,
                                .logit_rows = {}};
  const models::BatchView there = kv_->there(0, 0, batch, 1);
  EXPECT_EQ(there.rows(), parts[1].rows);
  ASSERT_EQ(there.sequences.size(), 2u);
  EXPECT_EQ(there.sequences[0].first_row, 2);
  const int64_t window = kv_->first_in_window() + 4 * kv_->windows().of(0, 0, 1);
  EXPECT_EQ(there.sequences[0].blocks[0], window + 1);
  EXPECT_EQ(there.sequences[0].blocks[1], window);
  EXPECT_EQ(there.sequences[1].blocks[0], window + 2);
  EXPECT_EQ(there.kv_slots.back(), (window + 2) * kTokens + kTokens - 1);
  EXPECT_EQ(memory::most_kv_parts(4, 4, 4), 4);
  EXPECT_EQ(memory::most_kv_parts(4, 4, 8), 3);
  EXPECT_EQ(memory::most_kv_parts(4, 4, 16), 1);
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
