// Who owns which block of the paged KV cache: pure host logic, no bytes, no clock. Allocates memory
// in its constructor only.
//
// A block is free (no one needs it), held (some sequence's block table lists it), or cached (its
// tokens are published, no sequence holds it; evicted when a free block is wanted, least recently
// used first). Published blocks form a radix tree: a node is one full block of token ids under its
// parent block, its root keyed by a salt. Blocks are found by a hash of (parent or salt, token
// ids), and the ids themselves are compared, so that a collision can never give wrong tokens.
//
// What always holds:
// - A block table is a path in the tree followed by blocks that are not published yet, so whoever
//   holds a block holds all before it, and a table is released from its end: a child is never
//   evicted after its parent.
// - Only full blocks whose keys and values are in the cache are published; only published blocks
//   are shared. Shared blocks are never written again.
// - free() + cached() + held() == blocks().
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/rounding.h"

namespace sluice::memory {

constexpr int64_t kMaxKvBlocks = int64_t{1} << 30;  // block ids are int32_t

using BlockId = int32_t;
inline constexpr BlockId kNoBlock = -1;

struct KvBlocksCounters {
  int64_t allocated = 0;  // blocks taken to be filled
  int64_t shared = 0;  // blocks taken from the tree: the hit rate is shared / (shared + allocated)
  int64_t published = 0;   // blocks that became findable
  int64_t duplicates = 0;  // blocks given back because an equal one was published already
  int64_t evicted = 0;
  bool operator==(const KvBlocksCounters&) const = default;
};

// A prefix that the tree knows.
struct KvPrefix {
  int64_t blocks = 0;
  int64_t unheld = 0;  // of these, cached: holding them makes available() smaller
};

class KvBlocks {
 public:
  // 1 <= blocks <= kMaxKvBlocks, block_tokens >= 1.
  KvBlocks(int64_t blocks, int64_t block_tokens);

  int64_t blocks() const { return static_cast<int64_t>(nodes_.size()); }
  int64_t block_tokens() const { return block_tokens_; }
  int64_t blocks_for(int64_t tokens) const { return base::div_up(tokens, block_tokens_); }

  int64_t free() const { return static_cast<int64_t>(free_.size()); }
  int64_t cached() const { return cached_; }
  int64_t available() const { return free() + cached_; }  // what allocate() can still give
  int64_t held() const { return blocks() - available(); }
  int64_t references(BlockId block) const { return node(block).references; }
  bool published(BlockId block) const { return node(block).published; }
  // How often allocate() has given the block: what somebody keeps of it is another's once this
  // has changed.
  int64_t allocations(BlockId block) const { return node(block).allocations; }

  // The longest path of published blocks whose tokens lead `tokens` (whole blocks only) under
  // `salt`. `path` is overwritten with it and must have the capacity. Nothing is held yet.
  KvPrefix find(std::span<const int32_t> tokens, uint64_t salt, std::vector<BlockId>& path) const;

  // Holds the blocks of a path that find() gave, before anything else is done here.
  void hold(std::span<const BlockId> path);

  // A block to be filled by one sequence, evicting the least recently used cached one if none is
  // free; kNoBlock if every block is held.
  BlockId allocate();

  // `block` (held once, not published) now holds the keys and values of exactly block_tokens()
  // `tokens` under `parent`, a published block held by the caller (kNoBlock: the tree's root of
  // `salt`). Returns the block that stands for them from now on: `block`, or an equal one that was
  // published before, in which case the hold moves there and `block` becomes free.
  BlockId publish(BlockId block, BlockId parent, std::span<const int32_t> tokens, uint64_t salt);

  // Gives back a sequence's whole block table, last block first. Releasing what is not held is a
  // bug and aborts.
  void release(std::span<const BlockId> table);

  // What blocks are found by; two may have the same.
  static uint64_t hash(BlockId parent, std::span<const int32_t> tokens, uint64_t salt);

  const KvBlocksCounters& counters() const { return counters_; }

  // Aborts unless all of the above holds. Walks everything: for tests.
  void check_consistency() const;

 private:
  struct Node {
    int64_t references = 0;
    int64_t allocations = 0;
    int64_t children = 0;  // published blocks whose parent this is
    uint64_t hash = 0;
    uint64_t salt = 0;
    BlockId parent = kNoBlock;
    BlockId chain = kNoBlock;                    // next in the hash bucket
    BlockId older = kNoBlock, newer = kNoBlock;  // neighbours among the cached
    bool published = false;
    bool free = true;
  };

  const Node& node(BlockId block) const;
  Node& node(BlockId block);
  std::span<const int32_t> tokens_of(BlockId block) const;
  BlockId find_child(uint64_t hash_value, BlockId parent, std::span<const int32_t> tokens,
                     uint64_t salt) const;
  void link_cached(BlockId block);
  void unlink_cached(BlockId block);
  void evict(BlockId block);
  void release_one(BlockId block);
  void give_free(BlockId block);

  int64_t block_tokens_;
  std::vector<Node> nodes_;
  std::vector<int32_t> tokens_;   // [blocks, block_tokens], of published blocks
  std::vector<BlockId> buckets_;  // a power of two of chains
  std::vector<BlockId> free_;
  BlockId oldest_ = kNoBlock, newest_ = kNoBlock;  // ends of the cached list
  int64_t cached_ = 0;
  KvBlocksCounters counters_;
};

}  // namespace sluice::memory
