// What an iteration does with one block of a cache that is not all where attention runs: the rules
// that the engine moves by and a replay counts by.
#pragma once

#include <algorithm>
#include <cstdint>

namespace sluice::memory {

struct KvBlockUse {
  bool arrives = false;  // it holds tokens of earlier iterations, and they are not there
  bool stays = false;    // as its sequence's tail, which is being filled
  bool leaves = false;   // it has become full, and goes home whole
};

// Of the so-manieth block of a sequence, with rows for positions [first, end). `whole_blocks`: home
// takes whole blocks alone, and what is being filled stays until then.
constexpr KvBlockUse kv_block_use(int64_t block, int64_t first, int64_t end, int64_t block_tokens,
                                  bool whole_blocks) {
  const bool begun = block * block_tokens < first;
  if (!whole_blocks) return {.arrives = begun};
  const bool was_full = (block + 1) * block_tokens <= first;
  const bool is_full = (block + 1) * block_tokens <= end;
  return {.arrives = was_full,
          .stays = !was_full && (begun || !is_full),
          .leaves = !was_full && is_full};
}

// New tokens that such a block gets.
constexpr int64_t new_kv_tokens(int64_t block, int64_t first, int64_t end, int64_t block_tokens) {
  const int64_t begin = block * block_tokens;
  return std::max<int64_t>(std::min(end, begin + block_tokens) - std::max(first, begin), 0);
}

// Blocks that an iteration of so many rows and sequences sends home whole, at most.
constexpr int64_t most_leaving_blocks(int64_t rows, int64_t sequences, int64_t block_tokens) {
  return rows / block_tokens + 2 * sequences;
}

}  // namespace sluice::memory
