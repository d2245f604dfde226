// The part of fit_plan() that says where the blocks of the KV cache lie, once the batch, lengths
// and types are chosen. Pure functions.
#pragma once

#include "plan/fit.h"

namespace sluice::plan {

// Blocks of the cache that the longest sequence takes.
int64_t blocks_per_sequence(const Plan& plan);

// Bytes of one block of the cache, over all layers, where all of it is in memory.
int64_t kv_block_bytes(const models::ModelConfig& config, const Plan& plan);

// Of a cache whose home is not where attention runs, once kv_blocks are known: which blocks stay
// there by policy.resident_kv, how many of the others find room at a time (of a cache on disk in so
// many bytes), and the bytes of host memory and disk that the plan's cache takes.
void share_kv(const models::ModelConfig& config, int64_t window_bytes, Plan& plan);

// Of such a cache, bytes where attention runs; else 0.
int64_t streamed_kv_bytes(const models::ModelConfig& config, const Plan& plan);

// With a home on disk. Where the wishes leave the batch open, it shrinks to the sequences for which
// `room` bytes of memory have room while they are at work. Then: the blocks that the batch needs,
// as far as the wishes say, or as there is room in memory for what is at work of them, and on the
// disk for the others; and as many that stay in memory as have room there.
void shrink_batch(const models::ModelConfig& config, const FitWishes& wishes, int64_t room,
                  Plan& plan);
int64_t blocks_on_disk(const models::ModelConfig& config, const FitWishes& wishes,
                       const FitMachine& machine, int64_t room, const Plan& plan);
void keep_kv(const models::ModelConfig& config, const FitWishes& wishes, int64_t room, Plan& plan);

// The wishes, with windows that are small beside `room` bytes, where the cache's size is left open.
FitWishes with_windows_for(int64_t room, FitWishes wishes);

// What a cache of one sequence takes of host memory, with its home where the wishes have it.
int64_t least_kv_bytes(const models::ModelConfig& config, const FitWishes& wishes,
                       const Plan& plan);

}  // namespace sluice::plan
