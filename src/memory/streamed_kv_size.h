// How much memory the KV cache takes where attention runs, when its home is one level farther away:
// one function for who plans it and for who reserves it.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/kv_layout.h"

namespace sluice::memory {

// Of the blocks that are not kept: one for the micro-batch that computes, one for that which
// arrives.
inline constexpr int kKvWindows = 2;

// Where places begin, if their home is a disk that is read past the page cache.
inline constexpr int64_t kDiskKvAlignment = 4096;

// Bytes of a place for one block of one layer, the largest of them.
int64_t kv_place_bytes(std::span<const kernels::KvLayout> layers, int64_t alignment);

// Bytes for `kept` blocks of every layer, and windows of `window_blocks` blocks of one layer.
int64_t streamed_kv_bytes(std::span<const kernels::KvLayout> layers, int64_t alignment,
                          int64_t kept, int64_t window_blocks);

// Parts in which a micro-batch of so many sequences attends, at most: as many of them in turn as
// find room in a window together, each of which does by itself.
int64_t most_kv_parts(int64_t sequences, int64_t sequence_blocks, int64_t window_blocks);

}  // namespace sluice::memory
