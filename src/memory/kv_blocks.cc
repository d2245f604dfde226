#include "memory/kv_blocks.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "base/random.h"

namespace sluice::memory {
KvBlocks::KvBlocks(int64_t blocks, int64_t block_tokens) : block_tokens_(block_tokens) {
  SLUICE_CHECK(blocks >= 1 && blocks <= kMaxKvBlocks, "a KV cache has 1 to 2^30 blocks");
  SLUICE_CHECK(block_tokens >= 1, "a KV block holds at least one token");
  nodes_.resize(static_cast<size_t>(blocks));
  tokens_.resize(static_cast<size_t>(blocks * block_tokens));
  buckets_.assign(std::bit_ceil(static_cast<size_t>(blocks) * 2), kNoBlock);
  free_.reserve(static_cast<size_t>(blocks));
  // Taken from the back: block 0 first.
  for (int64_t b = blocks - 1; b >= 0; --b) free_.push_back(static_cast<BlockId>(b));
}

const KvBlocks::Node& KvBlocks::node(BlockId block) const {
  SLUICE_CHECK(block >= 0 && block < blocks(), "a block id names a block of this cache");
  return nodes_[static_cast<size_t>(block)];
}

KvBlocks::Node& KvBlocks::node(BlockId block) {
  return const_cast<Node&>(static_cast<const KvBlocks*>(this)->node(block));
}

std::span<const int32_t> KvBlocks::tokens_of(BlockId block) const {
  return std::span(tokens_).subspan(static_cast<size_t>(block * block_tokens_),
                                    static_cast<size_t>(block_tokens_));
}

uint64_t KvBlocks::hash(BlockId parent, std::span<const int32_t> tokens, uint64_t salt) {
  uint64_t value = base::mix_bits(parent == kNoBlock ? salt : static_cast<uint64_t>(parent) + 1);
  for (int32_t token : tokens) value = base::mix_bits(value + static_cast<uint32_t>(token) + 1);
  return value;
}

BlockId KvBlocks::find_child(uint64_t hash_value, BlockId parent, std::span<const int32_t> tokens,
                             uint64_t salt) const {
  for (BlockId b = buckets_[hash_value & (buckets_.size() - 1)]; b != kNoBlock; b = node(b).chain) {
    const Node& candidate = node(b);
    if (candidate.hash == hash_value && candidate.parent == parent && candidate.salt == salt &&
        std::ranges::equal(tokens_of(b), tokens)) {
      return b;
    }
  }
  return kNoBlock;
}

KvPrefix KvBlocks::find(std::span<const int32_t> tokens, uint64_t salt,
                        std::vector<BlockId>& path) const {
  path.clear();
  KvPrefix prefix;
  BlockId parent = kNoBlock;
  const auto step = static_cast<size_t>(block_tokens_);
  for (size_t at = 0; at + step <= tokens.size(); at += step) {
    const auto block = tokens.subspan(at, step);
    parent = find_child(hash(parent, block, salt), parent, block, salt);
    if (parent == kNoBlock) break;
    path.push_back(parent);
    ++prefix.blocks;
    if (node(parent).references == 0) ++prefix.unheld;
  }
  return prefix;
}

void KvBlocks::hold(std::span<const BlockId> path) {
  for (BlockId block : path) {
    Node& n = node(block);
    SLUICE_CHECK(n.published, "only published blocks are shared");
    if (n.references++ == 0) unlink_cached(block);
  }
  counters_.shared += static_cast<int64_t>(path.size());
}

BlockId KvBlocks::allocate() {
  if (free_.empty()) {
    if (oldest_ == kNoBlock) return kNoBlock;
    evict(oldest_);
  }
  const BlockId block = free_.back();
  free_.pop_back();
  Node& n = node(block);
  n.free = false;
  n.references = 1;
  ++n.allocations;
  ++counters_.allocated;
  return block;
}

BlockId KvBlocks::publish(BlockId block, BlockId parent, std::span<const int32_t> tokens,
                          uint64_t salt) {
  Node& n = node(block);
  SLUICE_CHECK(n.references == 1 && !n.published, "a block is published once, by its only holder");
  SLUICE_CHECK(std::ssize(tokens) == block_tokens_, "only full blocks are published");
  if (parent != kNoBlock) {
    SLUICE_CHECK(node(parent).published && node(parent).references > 0,
                 "a published block's parent is published and held");
  }
  const uint64_t hash_value = hash(parent, tokens, salt);
  if (const BlockId equal = find_child(hash_value, parent, tokens, salt); equal != kNoBlock) {
    if (node(equal).references++ == 0) unlink_cached(equal);
    release_one(block);
    ++counters_.duplicates;
    return equal;
  }
  n.published = true;
  n.hash = hash_value;
  n.salt = salt;
  n.parent = parent;
  BlockId& bucket = buckets_[hash_value & (buckets_.size() - 1)];
  n.chain = bucket;
  bucket = block;
  if (parent != kNoBlock) ++node(parent).children;
  std::ranges::copy(tokens, tokens_.begin() + block * block_tokens_);
  ++counters_.published;
  return block;
}

void KvBlocks::release(std::span<const BlockId> table) {
  for (size_t i = table.size(); i > 0; --i) release_one(table[i - 1]);
}

void KvBlocks::release_one(BlockId block) {
  Node& n = node(block);
  SLUICE_CHECK(n.references > 0, "only a held block is released");
  if (--n.references > 0) return;
  if (n.published) {
    link_cached(block);
  } else {
    give_free(block);
  }
}

void KvBlocks::give_free(BlockId block) {
  Node& n = node(block);
  SLUICE_CHECK(!n.free, "a free block is not freed again");
  n = Node{.allocations = n.allocations};
  free_.push_back(block);
}

void KvBlocks::evict(BlockId block) {
  Node& n = node(block);
  SLUICE_CHECK(n.references == 0 && n.children == 0, "a block is evicted after its children");
  unlink_cached(block);
  BlockId* link = &buckets_[n.hash & (buckets_.size() - 1)];
  while (*link != block) link = &node(*link).chain;
  *link = n.chain;
  if (n.parent != kNoBlock) --node(n.parent).children;
  give_free(block);
  ++counters_.evicted;
}

void KvBlocks::link_cached(BlockId block) {
  Node& n = node(block);
  n.older = newest_;
  n.newer = kNoBlock;
  (newest_ == kNoBlock ? oldest_ : node(newest_).newer) = block;
  newest_ = block;
  ++cached_;
}

void KvBlocks::unlink_cached(BlockId block) {
  Node& n = node(block);
  (n.older == kNoBlock ? oldest_ : node(n.older).newer) = n.newer;
  (n.newer == kNoBlock ? newest_ : node(n.newer).older) = n.older;
  n.older = n.newer = kNoBlock;
  --cached_;
}

void KvBlocks::check_consistency() const {
  int64_t free_blocks = 0, cached_blocks = 0, listed = 0;
  std::vector<int64_t> children(nodes_.size(), 0);
  for (BlockId b = 0; b < blocks(); ++b) {
    const Node& n = node(b);
    free_blocks += n.free ? 1 : 0;
    cached_blocks += n.published && n.references == 0 ? 1 : 0;
    SLUICE_CHECK(!n.free || (n.references == 0 && !n.published), "a free block is nobody's");
    SLUICE_CHECK(n.free || n.published || n.references == 1, "an unpublished block has one holder");
    if (!n.published) continue;
    SLUICE_CHECK(find_child(n.hash, n.parent, tokens_of(b), n.salt) == b,
                 "a published block is found, and alone, under its tokens");
    if (n.parent == kNoBlock) continue;
    SLUICE_CHECK(node(n.parent).published && node(n.parent).references >= n.references,
                 "whoever holds a block holds its parent");
    ++children[static_cast<size_t>(n.parent)];
  }
  for (BlockId b = 0; b < blocks(); ++b) {
    SLUICE_CHECK(node(b).children == children[static_cast<size_t>(b)], "children are counted");
  }
  for (BlockId b = oldest_; b != kNoBlock; b = node(b).newer) ++listed;
  SLUICE_CHECK(free_blocks == free() && cached_blocks == cached_ && listed == cached_,
               "free() + cached() + held() == blocks()");
}

}  // namespace sluice::memory
