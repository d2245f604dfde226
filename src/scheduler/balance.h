// Which micro-batch a request joins: MoE-Lightning's request batching (its Algorithm 2), as a pure
// function.
#pragma once

#include <cstdint>
#include <limits>
#include <span>

namespace sluice::scheduler {

// What a micro-batch already holds, and what it may hold.
struct MicroBatchLoad {
  int64_t tokens = 0;      // of its sequences, together: what the balance is about
  int64_t sequences = 0;   // in it
  int64_t free_slots = 0;  // sequences that it still takes; mu less those in it
};

// Algorithm 2's bound on one micro-batch's KV: a request of `len` tokens joins only if
// (tokens + len) + (1 + sequences) * generated_tokens <= cache_tokens.
struct MicroBatchKvRoom {
  int64_t generated_tokens = 0;
  int64_t cache_tokens = std::numeric_limits<int64_t>::max();
};

inline constexpr int32_t kWaits = -1;

// Takes the requests of `lengths` by length, longest first (the earlier of equals first), and puts
// each in the micro-batch with the fewest tokens that has a free slot (the lowest index of equals).
// One that would pass that micro-batch's KV room waits. Writes the chosen micro-batch, or kWaits,
// to `assigned` [requests], and what the micro-batches hold then to `loads`. `order` [requests] is
// scratch. Never allocates.
void balance(std::span<const int64_t> lengths, std::span<MicroBatchLoad> loads,
             const MicroBatchKvRoom& room, std::span<int32_t> order, std::span<int32_t> assigned);

}  // namespace sluice::scheduler
