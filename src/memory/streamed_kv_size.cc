#include "memory/streamed_kv_size.h"

#include <algorithm>

#include "base/rounding.h"

namespace sluice::memory {

int64_t kv_place_bytes(std::span<const kernels::KvLayout> layers, int64_t alignment) {
  int64_t most = 0;
  for (const kernels::KvLayout& layout : layers) most = std::max(most, layout.block_bytes());
  return base::round_up(most, alignment);
}

int64_t streamed_kv_bytes(std::span<const kernels::KvLayout> layers, int64_t alignment,
                          int64_t kept, int64_t window_blocks) {
  const int64_t places = std::ssize(layers) * kept + kKvWindows * window_blocks;
  return places * kv_place_bytes(layers, alignment);
}

int64_t most_kv_parts(int64_t sequences, int64_t sequence_blocks, int64_t window_blocks) {
  if (window_blocks == 0) return 1;
  // Two parts in a row hold more than a window does.
  const int64_t windows = base::div_up(sequences * sequence_blocks, window_blocks);
  return std::max<int64_t>(std::min(sequences, 2 * windows - 1), 1);
}

}  // namespace sluice::memory
