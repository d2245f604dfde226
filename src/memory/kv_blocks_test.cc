#include "memory/kv_blocks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <map>
#include <random>
#include <set>

namespace sluice::memory {
namespace {

using Tokens = std::vector<int32_t>;

// Fills and publishes whole blocks of `tokens`, all newly computed.
std::vector<BlockId> compute(KvBlocks& blocks, const Tokens& tokens, uint64_t salt = 0) {
  std::vector<BlockId> table;
  const auto step = static_cast<size_t>(blocks.block_tokens());
  for (size_t at = 0; at + step <= tokens.size(); at += step) {
    const BlockId parent = table.empty() ? kNoBlock : table.back();
    table.push_back(
        blocks.publish(blocks.allocate(), parent, std::span(tokens).subspan(at, step), salt));
  }
  return table;
}

TEST(KvBlocks, CountsFreeBlocksExactly) {
  KvBlocks blocks(3, 4);
  EXPECT_EQ(blocks.blocks_for(0), 0);
  EXPECT_EQ(blocks.blocks_for(4), 1);
  EXPECT_EQ(blocks.blocks_for(5), 2);
  const std::vector<BlockId> table = {blocks.allocate(), blocks.allocate(), blocks.allocate()};
  EXPECT_EQ(std::set(table.begin(), table.end()).size(), 3u);
  EXPECT_EQ(blocks.free(), 0);
  EXPECT_EQ(blocks.held(), 3);
  EXPECT_EQ(blocks.allocate(), kNoBlock);
  blocks.release(table);
  EXPECT_EQ(blocks.free(), 3);
  blocks.check_consistency();
}

TEST(KvBlocks, AbortsOnDoubleFree) {
  KvBlocks blocks(3, 4);
  const std::vector<BlockId> table = {blocks.allocate()};
  blocks.release(table);
  EXPECT_DEATH(blocks.release(table), "only a held block is released");
  const auto published = compute(blocks, {1, 2, 3, 4});
  blocks.release(published);
  EXPECT_DEATH(blocks.release(published), "only a held block is released");
  const std::vector<BlockId> wild = {77};
  EXPECT_DEATH(blocks.release(wild), "names a block of this cache");
}

TEST(KvBlocks, FindsLeadingFullBlocksUnderTheSameSaltOnly) {
  KvBlocks blocks(8, 2);
  const auto table = compute(blocks, {1, 2, 3, 4, 5, 6}, 9);
  std::vector<BlockId> path;
  path.reserve(8);
  EXPECT_EQ(blocks.find(Tokens{1, 2, 3, 4, 5, 6}, 9, path).blocks, 3);
  EXPECT_EQ(path, table);
  EXPECT_EQ(blocks.find(Tokens{1, 2, 3, 4, 5}, 9, path).blocks, 2);
  EXPECT_EQ(blocks.find(Tokens{1, 2, 0, 4}, 9, path).blocks, 1);
  EXPECT_EQ(blocks.find(Tokens{1}, 9, path).blocks, 0);
  EXPECT_EQ(blocks.find(Tokens{3, 4}, 9, path).blocks, 0) << "the same tokens elsewhere";
  EXPECT_EQ(blocks.find(Tokens{1, 2}, 8, path).blocks, 0);
  EXPECT_TRUE(path.empty());
}

TEST(KvBlocks, SharesHeldBlocksAndKeepsThemAfterwards) {
  KvBlocks blocks(4, 2);
  const auto first = compute(blocks, {1, 2, 3, 4});
  std::vector<BlockId> path;
  EXPECT_EQ(blocks.find(Tokens{1, 2, 3, 4}, 0, path).unheld, 0);
  blocks.hold(path);
  EXPECT_EQ(blocks.references(first[0]), 2);
  EXPECT_EQ(blocks.held(), 2);
  blocks.release(first);
  EXPECT_EQ(blocks.cached(), 0);
  blocks.release(path);
  EXPECT_EQ(blocks.cached(), 2);
  EXPECT_EQ(blocks.available(), 4);
  const KvPrefix again = blocks.find(Tokens{1, 2, 3, 4}, 0, path);
  EXPECT_EQ(again.blocks, 2);
  EXPECT_EQ(again.unheld, 2);
  EXPECT_EQ(blocks.counters().shared, 2);
  EXPECT_EQ(blocks.counters().allocated, 2);
}

TEST(KvBlocks, GivesBackABlockThatAnotherPublishedBefore) {
  KvBlocks blocks(4, 2);
  const auto first = compute(blocks, {1, 2});
  const auto second = compute(blocks, {1, 2, 3, 4});
  EXPECT_EQ(second[0], first[0]);
  EXPECT_EQ(blocks.references(first[0]), 2);
  EXPECT_EQ(blocks.held(), 2);
  EXPECT_EQ(blocks.counters().duplicates, 1);
  blocks.check_consistency();
}

TEST(KvBlocks, EvictsTheLeastRecentlyUsedAndChildrenFirst) {
  KvBlocks blocks(4, 1);
  const auto old = compute(blocks, {1, 2});
  const auto recent = compute(blocks, {5, 6});
  blocks.release(old);
  blocks.release(recent);
  std::vector<BlockId> path;
  blocks.find(Tokens{1}, 0, path);  // used again: the root of the old path becomes the youngest
  blocks.hold(path);
  blocks.release(path);
  EXPECT_EQ(blocks.allocate(), old[1]);
  EXPECT_EQ(blocks.allocate(), recent[1]);
  EXPECT_EQ(blocks.allocate(), recent[0]);
  EXPECT_EQ(blocks.find(Tokens{5, 6}, 0, path).blocks, 0);
  EXPECT_EQ(blocks.find(Tokens{1, 2}, 0, path).blocks, 1);
  EXPECT_EQ(blocks.allocate(), old[0]);
  EXPECT_EQ(blocks.allocate(), kNoBlock);
  EXPECT_EQ(blocks.counters().evicted, 4);
  blocks.check_consistency();
}

TEST(KvBlocks, AbortsWhenTheTreeIsBrokenByItsUser) {
  KvBlocks blocks(4, 2);
  const BlockId block = blocks.allocate();
  EXPECT_DEATH(blocks.publish(block, kNoBlock, Tokens{1}, 0), "only full blocks");
  EXPECT_DEATH(blocks.publish(block, 3, Tokens{1, 2}, 0), "parent is published and held");
  blocks.publish(block, kNoBlock, Tokens{1, 2}, 0);
  EXPECT_DEATH(blocks.publish(block, kNoBlock, Tokens{1, 2}, 0), "published once");
}

// The hash adds a token to the state after those before it: among many first tokens are two whose
// states lie so close that the second tokens make up the difference.
std::pair<Tokens, Tokens> blocks_of_equal_hash() {
  std::vector<std::pair<uint64_t, int32_t>> states;
  for (int32_t token = 0; token < 1 << 19; ++token) {
    states.emplace_back(KvBlocks::hash(kNoBlock, Tokens{token}, 0), token);
  }
  std::ranges::sort(states);
  for (size_t i = 1; i < states.size(); ++i) {
    const uint64_t gap = states[i].first - states[i - 1].first;
    if (gap >= uint64_t{1} << 31) continue;
    return {{states[i].second, 0}, {states[i - 1].second, static_cast<int32_t>(gap)}};
  }
  return {};
}

TEST(KvBlocks, TellsBlocksOfEqualHashApart) {
  const auto [a, b] = blocks_of_equal_hash();
  ASSERT_NE(a, b);
  ASSERT_EQ(KvBlocks::hash(kNoBlock, a, 0), KvBlocks::hash(kNoBlock, b, 0));
  KvBlocks blocks(4, 2);
  const auto first = compute(blocks, a);
  std::vector<BlockId> path;
  EXPECT_EQ(blocks.find(b, 0, path).blocks, 0);
  const auto second = compute(blocks, b);
  EXPECT_NE(first, second);
  blocks.find(a, 0, path);
  EXPECT_EQ(path, first);
  blocks.find(b, 0, path);
  EXPECT_EQ(path, second);
  blocks.check_consistency();
}

// The same operations on sets, lists and maps of whole prefixes.
class Model {
 public:
  explicit Model(int64_t count) {
    for (BlockId b = 0; b < count; ++b) free_.insert(b);
  }

  void expect_allocated(BlockId block) {
    if (!free_.empty()) {
      ASSERT_EQ(free_.erase(block), 1u);
    } else if (cached_.empty()) {
      ASSERT_EQ(block, kNoBlock);
      return;
    } else {
      ASSERT_EQ(block, cached_.front());
      cached_.pop_front();
      std::erase_if(tree_, [&](const auto& entry) { return entry.second == block; });
    }
    references_[block] = 1;
  }

  std::vector<BlockId> find(const Tokens& tokens, size_t step) const {
    std::vector<BlockId> path;
    for (size_t n = step; n <= tokens.size(); n += step) {
      const auto found = tree_.find(Tokens(tokens.begin(), tokens.begin() + static_cast<long>(n)));
      if (found == tree_.end()) break;
      path.push_back(found->second);
    }
    return path;
  }

  void hold(BlockId block) {
    if (references_[block]++ == 0) cached_.remove(block);
  }

  BlockId publish(BlockId block, const Tokens& prefix) {
    const auto [entry, fresh] = tree_.emplace(prefix, block);
    if (fresh) return block;
    hold(entry->second);
    release(block, false);
    return entry->second;
  }

  void release(BlockId block, bool is_published) {
    if (--references_[block] > 0) return;
    if (is_published) {
      cached_.push_back(block);
    } else {
      free_.insert(block);
    }
  }

  void expect_counts(const KvBlocks& blocks) const {
    ASSERT_EQ(blocks.free(), std::ssize(free_));
    ASSERT_EQ(blocks.cached(), std::ssize(cached_));
    ASSERT_EQ(blocks.held(), blocks.blocks() - std::ssize(free_) - std::ssize(cached_));
  }

 private:
  std::set<BlockId> free_;
  std::list<BlockId> cached_;  // least recently used first
  std::map<BlockId, int> references_;
  std::map<Tokens, BlockId> tree_;
};

struct Holder {
  Tokens tokens;
  std::vector<BlockId> table;
  size_t published = 0;
};

constexpr size_t kStep = 2;

void start(KvBlocks& blocks, Model& model, std::mt19937& random, std::vector<Holder>& holders) {
  Holder holder;
  holder.tokens.resize(random() % 14);
  for (int32_t& token : holder.tokens) token = static_cast<int32_t>(random() % 2);
  blocks.find(holder.tokens, 0, holder.table);
  ASSERT_EQ(holder.table, model.find(holder.tokens, kStep));
  blocks.hold(holder.table);
  for (BlockId block : holder.table) model.hold(block);
  holder.published = holder.table.size();
  holders.push_back(std::move(holder));
}

// One more block: allocated, filled, and mostly published.
void grow(KvBlocks& blocks, Model& model, std::mt19937& random, Holder& holder) {
  const BlockId block = blocks.allocate();
  model.expect_allocated(block);
  if (block == kNoBlock) return;
  holder.table.push_back(block);
  holder.tokens.resize(holder.table.size() * kStep, static_cast<int32_t>(random() % 2));
  if (random() % 4 == 0) return;
  for (size_t& i = holder.published; i < holder.table.size(); ++i) {
    const auto tokens = std::span<const int32_t>(holder.tokens).subspan(i * kStep, kStep);
    const Tokens prefix(holder.tokens.begin(),
                        holder.tokens.begin() + static_cast<long>((i + 1) * kStep));
    const BlockId expected = model.publish(holder.table[i], prefix);
    const BlockId parent = i == 0 ? kNoBlock : holder.table[i - 1];
    holder.table[i] = blocks.publish(holder.table[i], parent, tokens, 0);
    ASSERT_EQ(holder.table[i], expected);
  }
}

void stop(KvBlocks& blocks, Model& model, const Holder& holder) {
  blocks.release(holder.table);
  for (size_t i = holder.table.size(); i > 0; --i) {
    model.release(holder.table[i - 1], i <= holder.published);
  }
}

TEST(KvBlocks, AgreesWithAModelOverManyRandomOperations) {
  std::mt19937 random(5);
  KvBlocks blocks(24, kStep);
  Model model(24);
  std::vector<Holder> holders;
  for (int op = 0; op < 100000 && !HasFailure(); ++op) {
    const size_t which = holders.empty() ? 0 : random() % holders.size();
    const auto dice = random() % 8;
    if (holders.empty() || (dice < 2 && holders.size() < 8)) {
      start(blocks, model, random, holders);
    } else if (dice < 6) {
      grow(blocks, model, random, holders[which]);
    } else {
      stop(blocks, model, holders[which]);
      holders.erase(holders.begin() + static_cast<long>(which));
    }
    model.expect_counts(blocks);
    if (op % 64 == 0) blocks.check_consistency();
  }
  EXPECT_GT(blocks.counters().evicted, 1000);
  EXPECT_GT(blocks.counters().shared, 1000);
  EXPECT_GT(blocks.counters().duplicates, 1000);
}

}  // namespace
}  // namespace sluice::memory
