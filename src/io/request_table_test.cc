#include "io/request_table.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <map>
#include <random>

namespace sluice::io {
namespace {

constexpr int64_t kPage = kDirectAlignment;

// Addresses that nobody reads or writes.
std::byte* address(int64_t at) {
  static std::vector<std::byte> memory(1 << 22);
  return memory.data() + at;
}

Request request(FileId file, int64_t offset, int64_t bytes, uint64_t user,
                std::optional<int64_t> into = std::nullopt) {
  return {file, offset, bytes, address(into.value_or(offset)), user};
}

// The users of the requests that ended, in order, as text: "1 2! " (failed).
std::string ended(RequestTable& table) {
  std::string all;
  Finished finished;
  while (table.take(finished)) {
    all += std::to_string(finished.request.user) + (finished.failure != 0 ? "! " : " ");
  }
  return all;
}

// "file:offset+bytes" of what a slot asks for.
std::string ask(const RequestTable& table, int slot) {
  const auto asked = table.ask(slot);
  return std::to_string(asked.file) + ":" + std::to_string(asked.offset) + "+" +
         std::to_string(asked.bytes);
}

TEST(RequestTable, SplitsAndKeepsTheOrder) {
  RequestTable table(4, 8, 100);
  table.add(request(0, 0, 250, 1), false);
  table.add(request(1, 0, 10, 2), false);
  EXPECT_EQ(table.out(), 2);
  const int a = table.begin(), b = table.begin(), c = table.begin(), d = table.begin();
  EXPECT_EQ(table.begin(), -1);
  EXPECT_EQ(ask(table, a), "0:0+100");
  EXPECT_EQ(ask(table, b), "0:100+100");
  EXPECT_EQ(ask(table, c), "0:200+50");
  EXPECT_EQ(ask(table, d), "1:0+10");
  EXPECT_FALSE(table.settle(c, 50));
  EXPECT_FALSE(table.settle(a, 100));
  EXPECT_EQ(ended(table), "");
  EXPECT_FALSE(table.settle(d, 10));
  EXPECT_FALSE(table.settle(b, 100));
  EXPECT_EQ(ended(table), "2 1 ");
  EXPECT_EQ(table.out(), 0);
}

TEST(RequestTable, MergesWhatLiesSideBySide) {
  RequestTable table(16, 8, 100);
  table.add(request(0, 0, 30, 1), false);
  table.add(request(0, 30, 30, 2), false);
  table.add(request(0, 60, 90, 3), false);
  table.add(request(0, 150, 10, 4), false);
  table.add(request(0, 170, 10, 5), false);       // a hole in the file
  table.add(request(0, 180, 10, 6, 500), false);  // a hole in memory
  table.add(request(1, 190, 10, 7, 510), false);  // another file
  std::vector<int> slots;
  std::string asks;
  for (int slot = table.begin(); slot >= 0; slot = table.begin()) {
    asks += ask(table, slot) + " ";
    slots.push_back(slot);
  }
  EXPECT_EQ(asks, "0:0+100 0:100+60 0:170+10 0:180+10 1:190+10 ");
  EXPECT_TRUE(table.settle(slots[0], 45));  // a short read that ends within the second
  EXPECT_EQ(ended(table), "1 ");
  EXPECT_EQ(ask(table, slots[0]), "0:45+55");
  EXPECT_FALSE(table.settle(slots[0], 55));
  EXPECT_EQ(ended(table), "2 ");
  EXPECT_FALSE(table.settle(slots[1], 60));
  EXPECT_EQ(ended(table), "3 4 ");
}

TEST(RequestTable, MergesWritesWithWritesAlone) {
  RequestTable table(8, 8, 100);
  for (const bool writes : {false, true, true, false}) {
    Request next = request(0, 10 * table.out(), 10, 0);
    next.writes = writes;
    table.add(next, false);
  }
  std::string asks;
  for (int slot = table.begin(); slot >= 0; slot = table.begin()) {
    asks += ask(table, slot) + (table.ask(slot).writes ? "w " : " ");
  }
  EXPECT_EQ(asks, "0:0+10 0:10+20w 0:30+10 ");
}

TEST(RequestTable, PartsAMergedReadThatFails) {
  RequestTable table(8, 1, 100);
  for (uint64_t i = 0; i < 3; ++i) {
    table.add(request(0, 20 * static_cast<int64_t>(i), 20, i), false);
  }
  const int slot = table.begin();
  EXPECT_EQ(ask(table, slot), "0:0+60");
  EXPECT_TRUE(table.settle(slot, -EIO));
  EXPECT_EQ(ask(table, slot), "0:0+20");
  EXPECT_TRUE(table.settle(slot, 20));
  EXPECT_TRUE(table.settle(slot, -EIO));
  EXPECT_EQ(ask(table, slot), "0:40+20");
  EXPECT_FALSE(table.settle(slot, 20));
  EXPECT_EQ(ended(table), "0 1! 2 ");
}

TEST(RequestTable, AFailedRequestWaitsForItsReads) {
  RequestTable table(8, 2, 100);
  table.add(request(0, 0, 1000, 1), false);
  table.add(request(1, 0, 10, 2), false);
  const int a = table.begin(), b = table.begin();
  EXPECT_FALSE(table.settle(a, -EIO));
  EXPECT_EQ(ended(table), "");  // its memory is still written to
  const int c = table.begin();
  EXPECT_EQ(ask(table, c), "1:0+10");
  EXPECT_FALSE(table.settle(b, 100));
  EXPECT_EQ(ended(table), "1! ");
  EXPECT_FALSE(table.settle(c, 0));
  Finished finished;
  ASSERT_TRUE(table.take(finished));
  EXPECT_EQ(finished.failure, Finished::kEndOfFile);
}

TEST(RequestTable, DirectReadsGoOnAtAlignedPlaces) {
  RequestTable table(8, 2, 8 * kPage);
  table.add(request(0, 0, 4 * kPage + 10, 1), true);
  const int slot = table.begin();
  EXPECT_EQ(ask(table, slot), "0:0+" + std::to_string(5 * kPage));
  EXPECT_TRUE(table.settle(slot, 2 * kPage + 512));
  EXPECT_EQ(ask(table, slot), "0:" + std::to_string(2 * kPage) + "+" + std::to_string(3 * kPage));
  EXPECT_FALSE(table.settle(slot, 2 * kPage + 10));
  EXPECT_EQ(ended(table), "1 ");
  table.add(request(0, 0, 4 * kPage, 2), true);
  EXPECT_FALSE(table.settle(table.begin(), 512));  // nothing but the file's end stops there
  EXPECT_EQ(ended(table), "2! ");
}

// Random requests, random answers in random order, bad bytes here and there: each request ends
// once, fails exactly if it holds a bad byte, and every byte of a good one has been read once.
TEST(RequestTable, AccountsForEveryByte) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&](int64_t end) { return static_cast<int64_t>(random() % end); };
    constexpr int64_t kFile = 4000;
    std::vector<bool> bad(kFile, false);
    for (int64_t i = below(4); i > 0; --i) bad[below(kFile)] = true;
    RequestTable table(1 + below(12), static_cast<int>(1 + below(6)), 1 + below(300));
    std::vector<int> slots;
    std::map<uint64_t, std::vector<int>> reads;  // by request and byte
    std::map<uint64_t, Request> out;
    int64_t next = 0;
    uint64_t user = 0;
    int64_t ends = 0;
    while (next < kFile || table.out() > 0) {
      while (next < kFile && !table.full() && below(3) > 0) {
        const int64_t bytes = std::min(1 + below(500), kFile - next);
        out[user] = request(0, next, bytes, user);
        reads[user].assign(bytes, 0);
        table.add(out[user++], false);
        next += bytes;
      }
      for (int slot = table.begin(); slot >= 0; slot = table.begin()) slots.push_back(slot);
      if (!slots.empty()) {
        const size_t at = below(slots.size());
        const auto asked = table.ask(slots[at]);
        int64_t got = 1 + below(asked.bytes);
        for (int64_t i = 0; i < got; ++i)
          if (bad[asked.offset + i]) got = i;
        for (const auto& [id, wanted] : out)
          for (int64_t i = asked.offset; i < asked.offset + got; ++i)
            if (i >= wanted.offset && i < wanted.offset + wanted.bytes)
              ++reads[id][i - wanted.offset];
        if (!table.settle(slots[at], got > 0 ? got : -EIO)) slots.erase(slots.begin() + at);
      }
      Finished finished;
      while (table.take(finished)) {
        const auto& wanted = out.at(finished.request.user);
        bool any_bad = false;
        for (int64_t i = 0; i < wanted.bytes; ++i) any_bad |= bad[wanted.offset + i];
        ASSERT_EQ(finished.failure, any_bad ? EIO : 0) << seed;
        if (!any_bad) {
          for (int times : reads.at(finished.request.user)) ASSERT_EQ(times, 1) << seed;
        }
        ++ends;
      }
    }
    EXPECT_EQ(ends, static_cast<int64_t>(user));
    EXPECT_TRUE(slots.empty());
  }
}

}  // namespace
}  // namespace sluice::io
