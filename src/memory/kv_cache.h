// The physical paged KV cache: for every layer an array of blocks, all in one arena. A block id
// stands for the same tokens in all layers; how they lie there is each layer's own layout. Which
// sequence owns which block is kv_blocks.h's business.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "kernels/kv_layout.h"
#include "memory/arena.h"

namespace sluice::memory {

class KvCache {
 public:
  static constexpr int64_t kBlockAlignment = 64;

  // Bytes that one block id takes over all layers, padding included.
  static int64_t bytes_per_block(std::span<const kernels::KvLayout> layers);

  // Reserves `blocks` blocks of zeroed memory. kInvalid for layouts that do not agree on
  // block_tokens (a multiple of 16), kNoRoom when the system refuses the memory.
  static Result<KvCache> create(std::span<const kernels::KvLayout> layers, int64_t blocks,
                                const ArenaOptions& options = {});

  // Valid as long as the cache.
  const kernels::KvLayerView& layer(int layer) const { return views_[static_cast<size_t>(layer)]; }
  int layers() const { return static_cast<int>(views_.size()); }
  int64_t blocks() const { return blocks_; }
  int64_t block_tokens() const { return views_.front().layout.block_tokens; }
  int64_t bytes() const { return arena_.capacity(); }
  const Arena& arena() const { return arena_; }

 private:
  Arena arena_;
  std::vector<kernels::KvLayerView> views_;
  int64_t blocks_ = 0;
};

}  // namespace sluice::memory
