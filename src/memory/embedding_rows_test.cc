#include "memory/embedding_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace sluice::memory {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kHidden = 3;

class Rows : public ::testing::Test {
 protected:
  // Two holders of four rows each.
  std::unique_ptr<EmbeddingRows> rows_ = EmbeddingRows::create({.vocab = 100,
                                                                .hidden = kHidden,
                                                                .rows = 8,
                                                                .read_bytes = 4096,
                                                                .holders = 2,
                                                                .holder_rows = 4})
                                             .value();

  std::vector<uint32_t> claim(int holder, const std::vector<int32_t>& tokens) {
    const auto missing = rows_->claim(holder, tokens);
    return {missing.begin(), missing.end()};
  }
  void load(uint32_t row) {
    const std::array<float, kHidden> values{static_cast<float>(row), 1, 2};
    rows_->load(row, values.data());
  }
  // Claims, loads what is missing, and releases.
  std::vector<uint32_t> use(const std::vector<int32_t>& tokens) {
    const auto missing = claim(0, tokens);
    for (const uint32_t row : missing) load(row);
    for (const int32_t token : tokens) EXPECT_EQ(rows_->at(token)[0], static_cast<float>(token));
    rows_->release(0);
    rows_->check_consistency();
    return missing;
  }
};

TEST_F(Rows, AreMissingOnceUntilTheyAreLoaded) {
  EXPECT_THAT(claim(0, {7, 9, 7, 7}), ElementsAre(7, 9));
  EXPECT_EQ(rows_->claimed(), 2);
  load(9);
  EXPECT_THAT(claim(1, {7, 9, 3}), ElementsAre(7, 3));
  load(7);
  load(3);
  EXPECT_EQ(rows_->at(7)[0], 7);
  rows_->release(0);
  EXPECT_EQ(rows_->claimed(), 3);
  EXPECT_EQ(rows_->at(9)[0], 9) << "another holder has it still";
  rows_->release(1);
  EXPECT_EQ(rows_->claimed(), 0);
  rows_->check_consistency();
}

TEST_F(Rows, ThoseUsedLastStay) {
  EXPECT_THAT(use({0, 1, 2, 3}), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(use({4, 5, 6, 7}), ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(use({0, 4}), IsEmpty());
  EXPECT_THAT(use({8, 9}), ElementsAre(8, 9));  // where 1 and 2 were
  EXPECT_THAT(use({3, 0, 4, 5}), IsEmpty());
  EXPECT_THAT(use({2}), ElementsAre(2));
}

TEST_F(Rows, EveryHolderFindsRoom) {
  use({0, 1, 2, 3});
  use({4, 5, 6, 7});
  EXPECT_THAT(claim(0, {10, 11, 12, 13}), ElementsAre(10, 11, 12, 13));
  EXPECT_THAT(claim(1, {20, 21, 22, 23}), ElementsAre(20, 21, 22, 23));
  for (const uint32_t row : {10u, 11u, 12u, 13u, 20u, 21u, 22u, 23u}) load(row);
  rows_->check_consistency();
  for (const int32_t row : {10, 13, 20, 23}) EXPECT_EQ(rows_->at(row)[0], row);
}

// An iteration that failed gives up its claim; what it waited for may come later, for somebody else
// or for nobody.
TEST_F(Rows, ThatComeLateAreTakenByWhoeverNeedsThem) {
  EXPECT_THAT(claim(0, {7, 8}), ElementsAre(7, 8));
  rows_->doubt(7);
  rows_->release(0);
  rows_->check_consistency();
  EXPECT_TRUE(rows_->doubtful(7));
  EXPECT_THAT(claim(1, {7}), ElementsAre(7));
  load(7);
  load(8);
  load(50);
  EXPECT_FALSE(rows_->doubtful(7));
  EXPECT_TRUE(rows_->loaded(7));
  EXPECT_TRUE(rows_->loaded(8));
  EXPECT_FALSE(rows_->loaded(50)) << "nobody has asked for it";
  rows_->release(1);
  EXPECT_THAT(use({7, 8}), IsEmpty());
}

TEST_F(Rows, OneThatNeverCameIsGivenAwayFirst) {
  use({0, 1, 2, 3});
  use({4, 5, 6});
  claim(0, {7});
  rows_->release(0);
  EXPECT_THAT(use({8}), ElementsAre(8));
  EXPECT_THAT(use({0, 1, 2, 3}), IsEmpty());
  EXPECT_THAT(use({4, 5, 6}), IsEmpty());
}

// As many places as there are rows suffice for any number of holders.
TEST(AllRows, FitASmallVocabulary) {
  const EmbeddingRowsShape shape{
      .vocab = 6, .hidden = 2, .rows = 6, .read_bytes = 4096, .holders = 3, .holder_rows = 100};
  auto rows = EmbeddingRows::create(shape).value();
  const std::vector<int32_t> all{5, 4, 3, 2, 1, 0};
  for (int holder = 0; holder < 3; ++holder) EXPECT_EQ(rows->claim(holder, all).size(), 6u);
  rows->check_consistency();
  EXPECT_EQ(EmbeddingRows::bytes(shape), kRowReads * 4096 + 4096 + 4096);
}

}  // namespace
}  // namespace sluice::memory
