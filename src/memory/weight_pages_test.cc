#include "memory/weight_pages.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <thread>

namespace sluice::memory {
namespace {

using Claim = WeightPages::Claim;

std::unique_ptr<WeightPages> make(int layers, int pages, int64_t slots, int64_t reserved = 0) {
  return std::move(WeightPages::create({.layers = layers,
                                        .pages_per_layer = pages,
                                        .slot_bytes = 4096,
                                        .slots = slots,
                                        .reserved = reserved,
                                        .holders = 4}))
      .value();
}

// Brings a page in and lets go of it.
void load(WeightPages& pages, WeightPageId page) {
  ASSERT_EQ(pages.claim(page, 0), Claim::kLoad);
  pages.loaded(page);
  pages.release(page, 0);
}

TEST(WeightPages, RefusesShapesWithoutRoom) {
  EXPECT_FALSE(WeightPages::create({.layers = 1, .pages_per_layer = 1, .slot_bytes = 4096}).ok());
  EXPECT_FALSE(
      WeightPages::create({.layers = 1, .pages_per_layer = 1, .slot_bytes = 100, .slots = 1}).ok());
}

TEST(WeightPages, AreReadOnceAndThenThere) {
  auto pages = make(2, 4, 3);
  const WeightPageId page = pages->id(1, 2);
  ASSERT_EQ(pages->claim(page, 0), Claim::kLoad);
  EXPECT_EQ(pages->claim(page, 1), Claim::kLoading);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(pages->at(page)) % 4096, 0u);
  EXPECT_FALSE(pages->resident(page));
  pages->loaded(page);
  EXPECT_TRUE(pages->resident(page));
  EXPECT_EQ(pages->claim(page, 2), Claim::kResident);
  for (int holder = 0; holder < 3; ++holder) pages->release(page, holder);
  EXPECT_EQ(pages->counts().loads, 1);
  EXPECT_EQ(pages->counts().hits, 1);
}

TEST(WeightPages, HaveNoRoomWhileAllAreClaimedAndChangeNothing) {
  auto pages = make(1, 8, 2);
  ASSERT_EQ(pages->claim(0, 0), Claim::kLoad);
  ASSERT_EQ(pages->claim(1, 0), Claim::kLoad);
  EXPECT_EQ(pages->claim(2, 0), Claim::kNoRoom);
  pages->loaded(0);
  EXPECT_EQ(pages->claim(2, 0), Claim::kNoRoom);
  pages->release(0, 0);
  EXPECT_EQ(pages->claim(2, 0), Claim::kLoad);
  EXPECT_FALSE(pages->resident(0));
  EXPECT_NE(pages->at(1), pages->at(2));
}

TEST(WeightPages, LeaveSlotsToWhatIsNeededNow) {
  auto pages = make(2, 4, 3, /*reserved=*/1);
  ASSERT_EQ(pages->claim(4, 0, true), Claim::kLoad);
  ASSERT_EQ(pages->claim(5, 0, true), Claim::kLoad);
  EXPECT_EQ(pages->claim(6, 0, true), Claim::kNoRoom);
  EXPECT_EQ(pages->claim(4, 1, true), Claim::kLoading);  // takes no more room
  ASSERT_EQ(pages->claim(0, 0), Claim::kLoad);
  pages->loaded(0);
  pages->release(0, 0);
  // What is there counts as room as well.
  EXPECT_EQ(pages->claim(0, 0, true), Claim::kNoRoom);
  EXPECT_EQ(pages->claim(0, 0), Claim::kResident);
}

// Two micro-batches in one layer, one of which is ahead: what it claims takes no room while the
// other holds it as well, and all of it once the other is done.
TEST(WeightPages, LeaveSlotsToWhatIsNeededNowWhenOthersLetGo) {
  auto pages = make(2, 4, 3, /*reserved=*/1);
  for (const WeightPageId page : {0u, 1u, 2u}) {
    ASSERT_EQ(pages->claim(page, 0), Claim::kLoad);
    pages->loaded(page);
  }
  EXPECT_EQ(pages->claim(0, 1, true), Claim::kResident);
  EXPECT_EQ(pages->claim(1, 1, true), Claim::kResident);
  EXPECT_FALSE(pages->has_room(2, true));
  EXPECT_EQ(pages->claim(2, 1, true), Claim::kNoRoom);
  EXPECT_EQ(pages->claim(0, 2, true), Claim::kResident);  // is held ahead already
  pages->check_consistency();
  pages->release_all(0);
  EXPECT_EQ(pages->claim(4, 0), Claim::kLoad);
  pages->failed(4);
  pages->release(0, 1);
  EXPECT_EQ(pages->claim(2, 1, true), Claim::kNoRoom);  // 0 is another's still
  pages->release(0, 2);
  EXPECT_EQ(pages->claim(2, 1, true), Claim::kLoad);
  pages->failed(2);
  EXPECT_EQ(pages->claim(3, 1, true), Claim::kLoad);
  pages->check_consistency();
}

TEST(WeightPages, GiveTheSlotBackOfAPageThatFailed) {
  auto pages = make(1, 4, 1);
  ASSERT_EQ(pages->claim(0, 0), Claim::kLoad);
  pages->failed(0);
  EXPECT_FALSE(pages->resident(0));
  EXPECT_EQ(pages->claim(0, 0), Claim::kLoad);
  pages->loaded(0);
  EXPECT_EQ(pages->counts().failed, 1);
}

TEST(WeightPages, TakeBackWhatOneHolderHasClaimed) {
  auto pages = make(1, 8, 3);
  ASSERT_EQ(pages->claim(0, 0), Claim::kLoad);
  ASSERT_EQ(pages->claim(1, 0), Claim::kLoad);
  ASSERT_EQ(pages->claim(1, 1), Claim::kLoading);
  ASSERT_EQ(pages->claim(2, 1), Claim::kLoad);
  for (WeightPageId page : {0u, 1u, 2u}) pages->loaded(page);
  pages->release_all(0);
  // Page 0 alone has nobody else who holds it.
  ASSERT_EQ(pages->claim(3, 0), Claim::kLoad);
  EXPECT_FALSE(pages->resident(0));
  EXPECT_EQ(pages->claim(4, 0), Claim::kNoRoom);
  pages->release_all(2);  // has none
  EXPECT_EQ(pages->claim(4, 0), Claim::kNoRoom);
  pages->release(1, 1);
  EXPECT_EQ(pages->claim(4, 0), Claim::kLoad);
}

// A read that outlives whoever asked for it keeps its slot until it ends.
TEST(WeightPages, GiveNobodyTheSlotOfAPageThatStillLoads) {
  for (const bool comes : {true, false}) {
    auto pages = make(1, 4, 2);
    const ExpertUse use(1, 4, 1);
    ASSERT_EQ(pages->claim(0, 0), Claim::kLoad);
    pages->doubt(0);
    pages->release_all(0);
    pages->settle(use, 1, 1);
    ASSERT_EQ(pages->claim(1, 1), Claim::kLoad);
    EXPECT_EQ(pages->claim(2, 1), Claim::kNoRoom);
    EXPECT_EQ(pages->claim(0, 1), Claim::kLoading);
    pages->release_all(1);
    EXPECT_TRUE(pages->doubtful(0));
    comes ? pages->loaded(0) : pages->failed(0);
    EXPECT_EQ(pages->doubtful(0), !comes);
    EXPECT_EQ(pages->claim(2, 1), Claim::kLoad);
    EXPECT_FALSE(pages->resident(0));
  }
}

// Layers go by in turn: the page that was used last is needed last again.
TEST(WeightPages, MakeRoomWhereTheLayerHasJustGoneBy) {
  auto pages = make(4, 1, 3);
  for (WeightPageId page : {0u, 1u, 2u}) load(*pages, page);
  load(*pages, 3);  // layer 3 asks: 0 is needed next, then 1, then 2
  EXPECT_TRUE(pages->resident(0));
  EXPECT_TRUE(pages->resident(1));
  EXPECT_FALSE(pages->resident(2));
}

TEST(WeightPages, KeepWhatIsChosenMost) {
  auto pages = make(1, 6, 4);
  ExpertUse use(1, 6, 1);
  const std::array<int32_t, 6> counts = {0, 30, 1, 30, 2, 30};
  for (int i = 0; i < 50; ++i) use.add(0, counts, 93);
  for (WeightPageId page : {0u, 1u, 3u, 5u}) load(*pages, page);
  pages->settle(use, 1, 1);
  EXPECT_FALSE(pages->kept(0));
  for (WeightPageId page : {1u, 3u, 5u}) EXPECT_TRUE(pages->kept(page));
  load(*pages, 2);
  EXPECT_FALSE(pages->resident(0));
  // Kept pages need no claim and never make room.
  ASSERT_EQ(pages->claim(4, 0), Claim::kLoad);
  EXPECT_EQ(pages->claim(0, 0), Claim::kNoRoom);
  for (WeightPageId page : {1u, 3u, 5u}) EXPECT_TRUE(pages->resident(page));
}

TEST(WeightPages, LeaveFreeSlotsAmongThoseThatMove) {
  auto pages = make(1, 8, 4);
  const ExpertUse use(1, 8, 2);
  load(*pages, 0);
  load(*pages, 1);
  pages->settle(use, 1, 2);  // two slots are free
  EXPECT_TRUE(pages->kept(0));
  EXPECT_TRUE(pages->kept(1));
  pages->settle(use, 1, 4);
  EXPECT_FALSE(pages->kept(0));
  EXPECT_FALSE(pages->kept(1));
}

// A sweep over all pages, many times: what is kept is not read again.
TEST(WeightPages, ReadOnlyTheShareThatIsNotResidentInSweeps) {
  constexpr int kLayers = 6, kPages = 8, kSlots = 24, kMoving = 4;
  auto pages = make(kLayers, kPages, kSlots);
  const ExpertUse use(kLayers, kPages, 8);  // every expert, every time
  int64_t before = 0;
  for (int sweep = 0; sweep < 6; ++sweep) {
    pages->settle(use, 64, kMoving);
    before = pages->counts().loads;
    for (int layer = 0; layer < kLayers; ++layer) {
      for (int i = 0; i < kPages; ++i) {
        const WeightPageId page = pages->id(layer, i);
        if (pages->kept(page)) continue;
        const Claim claim = pages->claim(page, 0);
        ASSERT_NE(claim, Claim::kNoRoom);
        if (claim == Claim::kLoad) pages->loaded(page);
        pages->release(page, 0);
      }
    }
  }
  EXPECT_LE(pages->counts().loads - before, kLayers * kPages - (kSlots - kMoving));
}

// No two pages in one slot, whatever is claimed and released by many threads.
TEST(WeightPages, NeverShareASlotAmongThreads) {
  auto pages = make(4, 16, 12);
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 4; ++seed) {
    threads.emplace_back([&, seed] {
      std::mt19937 random(seed);
      const auto holder = static_cast<int>(seed);
      for (int i = 0; i < 3000; ++i) {
        const auto page = static_cast<WeightPageId>(random() % 64);
        switch (pages->claim(page, holder)) {
          case Claim::kLoad: {
            auto* at = reinterpret_cast<uint64_t*>(pages->at(page));
            for (int w = 0; w < 512; ++w) at[w] = page;
            pages->loaded(page);
            for (int w = 0; w < 512; ++w) ASSERT_EQ(at[w], page);
            pages->release(page, holder);
            break;
          }
          case Claim::kResident: {
            const auto* at = reinterpret_cast<const uint64_t*>(pages->at(page));
            ASSERT_EQ(at[random() % 512], page);
            pages->release(page, holder);
            break;
          }
          case Claim::kLoading:
            while (!pages->resident(page)) std::this_thread::yield();
            ASSERT_EQ(*reinterpret_cast<const uint64_t*>(pages->at(page)), page);
            pages->release(page, holder);
            break;
          case Claim::kNoRoom:
            break;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(WeightPages, SayWhetherAClaimWouldFindRoom) {
  auto pages = *WeightPages::create(
      {.layers = 1, .pages_per_layer = 4, .slot_bytes = 4096, .slots = 2, .reserved = 1});
  EXPECT_TRUE(pages->has_room(0, true));
  ASSERT_EQ(pages->claim(0, 0, true), WeightPages::Claim::kLoad);
  EXPECT_FALSE(pages->has_room(1, true));
  EXPECT_TRUE(pages->has_room(1, false));
  EXPECT_TRUE(pages->has_room(0, true));  // on its way already
  EXPECT_EQ(pages->claimed_pages(), 1);
  pages->loaded(0);
  pages->release(0, 0);
  EXPECT_EQ(pages->claimed_pages(), 0);
  pages->check_consistency();
}

}  // namespace
}  // namespace sluice::memory
