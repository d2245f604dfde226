// Pages read for guesses: whose room they take, and what becomes of them.
#include <gtest/gtest.h>

#include "memory/weight_pages.h"

namespace sluice::memory {
namespace {

using Claim = WeightPages::Claim;

constexpr int kExperts = 4;

// Two layers of four experts.
std::unique_ptr<WeightPages> make(int64_t slots, int64_t reserved = 0) {
  return std::move(WeightPages::create({.layers = 2,
                                        .pages_per_layer = kExperts,
                                        .slot_bytes = 4096,
                                        .slots = slots,
                                        .reserved = reserved,
                                        .holders = 2}))
      .value();
}

void load(WeightPages& pages, WeightPageId page) {
  ASSERT_EQ(pages.claim(page, 1), Claim::kLoad);
  pages.loaded(page);
  pages.release(page, 1);
}

TEST(WeightGuesses, AreThereForWhoeverNeedsThem) {
  auto pages = make(4);
  pages->open_guesses(0, 1);
  ASSERT_EQ(pages->guess(4, 0), Claim::kLoad);
  EXPECT_EQ(pages->guess(4, 0), Claim::kLoading);
  EXPECT_EQ(pages->claimed_pages(), 0);
  pages->check_consistency();
  EXPECT_EQ(pages->claim(4, 0), Claim::kLoading);
  pages->loaded(4);
  EXPECT_EQ(pages->claim(4, 1), Claim::kResident);
  ASSERT_EQ(pages->guess(5, 0), Claim::kLoad);
  pages->loaded(5);
  ASSERT_EQ(pages->guess(6, 0), Claim::kLoad);
  const int32_t chosen[kExperts] = {0, 1, 0, 0};
  pages->close_guesses(0, 1, chosen);
  EXPECT_EQ(pages->counts().guesses_right, 2);  // 4 was claimed, 5 is chosen
  EXPECT_EQ(pages->counts().guesses_wrong, 1);
  EXPECT_EQ(pages->wrong_guesses(0), 0);
  EXPECT_EQ(pages->wrong_guesses(1), 1);
  pages->loaded(6);  // its read could not be taken back
  pages->check_consistency();
}

TEST(WeightGuesses, AreOverWhenTheRouterHasSpoken) {
  auto pages = make(8);
  const int32_t none[kExperts] = {};
  EXPECT_EQ(pages->guess(4, 0), Claim::kNoRoom);  // never opened
  pages->open_guesses(0, 1);
  EXPECT_EQ(pages->guess(0, 0), Claim::kNoRoom);  // of another layer
  EXPECT_EQ(pages->guess(4, 1), Claim::kNoRoom);  // of another holder
  pages->close_guesses(0, 0, none);               // of another layer
  EXPECT_EQ(pages->guess(4, 0), Claim::kLoad);
  pages->close_guesses(0, 1, none);
  EXPECT_EQ(pages->guess(5, 0), Claim::kNoRoom);
  pages->open_guesses(0, 0);
  ASSERT_EQ(pages->guess(0, 0), Claim::kLoad);
  pages->loaded(0);
  pages->release_all(0);  // its iteration has failed
  EXPECT_EQ(pages->guess(1, 0), Claim::kNoRoom);
  EXPECT_EQ(pages->counts().guesses_right, 0);
  EXPECT_EQ(pages->counts().guesses_wrong, 1);
}

TEST(WeightGuesses, LeaveSlotsToWhatIsNeeded) {
  auto pages = make(3, 1);
  pages->open_guesses(0, 1);
  ASSERT_EQ(pages->guess(4, 0), Claim::kLoad);
  ASSERT_EQ(pages->guess(5, 0), Claim::kLoad);
  EXPECT_EQ(pages->guess(6, 0), Claim::kNoRoom);
  EXPECT_EQ(pages->claim(0, 0), Claim::kLoad);
  EXPECT_EQ(pages->claim(1, 0), Claim::kNoRoom);  // until a read has ended
  pages->loaded(4);
  EXPECT_EQ(pages->claim(1, 0), Claim::kLoad);
  EXPECT_FALSE(pages->resident(4));
  EXPECT_EQ(pages->counts().guesses_wrong, 1);  // taken before it was needed
  pages->check_consistency();
}

TEST(WeightGuesses, TakeNoRoomFromWhatIsHotter) {
  auto pages = make(2);
  ExpertUse use(2, kExperts, 1);
  const int32_t hot[kExperts] = {1000, 0, 0, 0};
  use.add(0, hot, 1000);
  load(*pages, 0);
  load(*pages, 1);
  pages->settle(use, 1, 2);  // nothing is kept
  pages->open_guesses(0, 1);
  // Half of all guesses are right, as far as is known: so expert 1 of layer 0 makes room, which
  // hardly any token chooses, and expert 0 does not.
  ASSERT_EQ(pages->guess(4, 0), Claim::kLoad);
  pages->loaded(4);
  EXPECT_TRUE(pages->resident(0));
  EXPECT_FALSE(pages->resident(1));
  EXPECT_EQ(pages->guess(5, 0), Claim::kNoRoom);
  // And what is needed takes neither before the guess is over.
  ASSERT_EQ(pages->claim(0, 0), Claim::kResident);
  pages->release(0, 0);
  const int32_t none[kExperts] = {};
  pages->close_guesses(0, 1, none);
  load(*pages, 2);
  EXPECT_TRUE(pages->resident(0));
  EXPECT_FALSE(pages->resident(4));
}

// While a guess is open, colder pages make room before it.
TEST(WeightGuesses, StayUntilTheyAreOver) {
  auto pages = make(2);
  ExpertUse use(2, kExperts, 1);
  load(*pages, 1);
  pages->settle(use, 1, 2);
  pages->open_guesses(0, 1);
  ASSERT_EQ(pages->guess(7, 0), Claim::kLoad);
  pages->loaded(7);
  load(*pages, 2);
  EXPECT_TRUE(pages->resident(7));
  EXPECT_FALSE(pages->resident(1));
}

TEST(WeightGuesses, OfWhatCannotBeReadAreInDoubtAndNobodysFault) {
  auto pages = make(2);
  pages->open_guesses(0, 1);
  ASSERT_EQ(pages->guess(4, 0), Claim::kLoad);
  pages->failed(4);
  EXPECT_TRUE(pages->doubtful(4));
  EXPECT_EQ(pages->guess(4, 0), Claim::kNoRoom);
  pages->check_consistency();
  ASSERT_EQ(pages->claim(4, 0), Claim::kLoad);
  pages->loaded(4);
  EXPECT_FALSE(pages->doubtful(4));
}

TEST(WeightGuesses, OutliveTheIterationThatMadeThem) {
  auto pages = make(3);
  pages->open_guesses(0, 1);
  ASSERT_EQ(pages->guess(4, 0), Claim::kLoad);
  const int32_t none[kExperts] = {};
  pages->close_guesses(0, 1, none);
  pages->settle(ExpertUse(2, kExperts, 1), 1, 1);
  EXPECT_FALSE(pages->kept(4));
  pages->loaded(4);
  pages->check_consistency();
}

}  // namespace
}  // namespace sluice::memory
