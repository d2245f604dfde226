#include "scheduler/balance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace sluice::scheduler {
namespace {

struct Balanced {
  std::vector<int32_t> assigned;
  std::vector<MicroBatchLoad> loads;
};

Balanced balanced(const std::vector<int64_t>& lengths, std::vector<MicroBatchLoad> loads,
                  const MicroBatchKvRoom& room = {}) {
  Balanced result;
  result.assigned.resize(lengths.size());
  std::vector<int32_t> order(lengths.size());
  balance(lengths, loads, room, order, result.assigned);
  result.loads = std::move(loads);
  return result;
}

std::vector<MicroBatchLoad> empty(int count, int64_t mu) {
  return std::vector<MicroBatchLoad>(static_cast<size_t>(count), {0, 0, mu});
}

TEST(Balance, TakesTheLongestFirstAndTheLightestMicroBatch) {
  // Sorted: 9 8 5 3 2. Micro-batch 0 gets 9, 1 gets 8 and 5 (13), 0 gets 3 (12) and 2 (14).
  const auto result = balanced({3, 9, 2, 8, 5}, empty(2, 3));
  EXPECT_EQ(result.assigned, (std::vector<int32_t>{0, 0, 0, 1, 1}));
  EXPECT_EQ(result.loads[0].tokens, 14);
  EXPECT_EQ(result.loads[1].tokens, 13);
  EXPECT_EQ(result.loads[0].free_slots, 0);
  EXPECT_EQ(result.loads[1].sequences, 2);
}

TEST(Balance, ClosesAMicroBatchAtMuRequests) {
  // 10 goes to 0, 1 to 1; both closed: the last, shorter ones wait.
  const auto result = balanced({1, 10, 1, 1}, empty(2, 1));
  EXPECT_EQ(result.assigned, (std::vector<int32_t>{1, 0, kWaits, kWaits}));
}

TEST(Balance, MakesARequestThatPassesTheKvRoomWait) {
  // (0 + 6) + 1 * 4 = 10 fits; (6 + 5) + 2 * 4 = 19 does not; (6 + 1) + 2 * 4 = 15 does.
  const auto result = balanced({6, 5, 1}, empty(1, 8), {4, 15});
  EXPECT_EQ(result.assigned, (std::vector<int32_t>{0, kWaits, 0}));
  EXPECT_EQ(balanced({6, 5, 1}, empty(1, 8), {4, 14}).assigned[2], kWaits);
}

TEST(Balance, AddsToWhatIsThere) {
  const auto result = balanced({4, 4}, {{100, 1, 5}, {7, 3, 5}, {0, 0, 0}});
  EXPECT_EQ(result.assigned, (std::vector<int32_t>{1, 1}));
}

// The algorithm once more, as the paper words it: lists of requests, sums taken anew.
std::vector<std::vector<int64_t>> as_published(std::vector<int64_t> lengths, size_t micro_batches,
                                               int64_t mu, int64_t gen_len, int64_t cache_size) {
  std::vector<std::vector<int64_t>> open(micro_batches), closed;
  std::ranges::sort(lengths, std::greater<>());
  const auto sum = [](const std::vector<int64_t>& batch) {
    int64_t total = 0;
    for (int64_t length : batch) total += length;
    return total;
  };
  for (int64_t length : lengths) {
    if (open.empty()) break;
    auto least = std::ranges::min_element(
        open, [&](const auto& a, const auto& b) { return sum(a) < sum(b); });
    if (sum(*least) + length + (1 + std::ssize(*least)) * gen_len > cache_size) continue;
    least->push_back(length);
    if (std::ssize(*least) == mu) {
      closed.push_back(*least);
      open.erase(least);
    }
  }
  closed.insert(closed.end(), open.begin(), open.end());
  std::ranges::sort(closed);
  return closed;
}

TEST(Balance, IsThePublishedAlgorithm) {
  std::mt19937 random(3);
  for (int round = 0; round < 500; ++round) {
    const size_t count = 1 + random() % 5;
    const auto mu = static_cast<int64_t>(1 + random() % 6);
    const auto gen_len = static_cast<int64_t>(random() % 20);
    const auto cache_size = static_cast<int64_t>(50 + random() % 300);
    std::vector<int64_t> lengths(random() % 40);
    for (int64_t& length : lengths) length = static_cast<int64_t>(1 + random() % 60);

    const auto result =
        balanced(lengths, empty(static_cast<int>(count), mu), {gen_len, cache_size});
    std::vector<std::vector<int64_t>> batches(count);
    for (size_t i = 0; i < lengths.size(); ++i) {
      if (result.assigned[i] == kWaits) continue;
      batches[static_cast<size_t>(result.assigned[i])].push_back(lengths[i]);
    }
    for (auto& batch : batches) std::ranges::sort(batch, std::greater<>());
    std::ranges::sort(batches);
    EXPECT_EQ(batches, as_published(lengths, count, mu, gen_len, cache_size));
  }
}

}  // namespace
}  // namespace sluice::scheduler
