// How much of a device's memory the KV cache takes there: one function for who plans it and for who
// reserves it.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/kv_layout.h"

namespace sluice::memory {

// Of the blocks that are not resident: one for the micro-batch that computes, one for that which
// arrives.
inline constexpr int kDeviceKvWindows = 2;

// Bytes of a place for one block of one layer, the largest of them.
int64_t device_kv_place_bytes(std::span<const kernels::KvLayout> layers);

// Bytes for `resident` blocks of every layer, and windows of `window_blocks` blocks of one layer.
int64_t device_kv_bytes(std::span<const kernels::KvLayout> layers, int64_t resident,
                        int64_t window_blocks);

}  // namespace sluice::memory
