#include "memory/device_kv_size.h"

#include <algorithm>

#include "base/rounding.h"
#include "memory/kv_cache.h"

namespace sluice::memory {

int64_t device_kv_place_bytes(std::span<const kernels::KvLayout> layers) {
  int64_t most = 0;
  for (const kernels::KvLayout& layout : layers) most = std::max(most, layout.block_bytes());
  return base::round_up(most, KvCache::kBlockAlignment);
}

int64_t device_kv_bytes(std::span<const kernels::KvLayout> layers, int64_t resident,
                        int64_t window_blocks) {
  const int64_t places = std::ssize(layers) * resident + kDeviceKvWindows * window_blocks;
  return places * device_kv_place_bytes(layers);
}

}  // namespace sluice::memory
