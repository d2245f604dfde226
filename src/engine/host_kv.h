// The home of a device's keys and values in the host's cache: what comes from there and goes there.
#pragma once

#include "engine/streamed_kv.h"
#include "memory/kv_cache.h"

namespace sluice::engine {

class HostKv {
 public:
  // Both are borrowed. The cache has all blocks that are not resident there, the first of which is
  // its block 0.
  HostKv(StreamedKv& there, const memory::KvCache& cache) : there_(there), cache_(cache) {}

  // Blocks that hold tokens of earlier iterations, into the window that was claimed for the layer.
  void bring(size_t flight, int layer, int part = 0) const;
  // New tokens, from there.
  void take_home(size_t flight, int layer, const models::BatchView& batch, int part = 0) const;

 private:
  std::byte* home_of(int32_t block, int layer) const;

  StreamedKv& there_;
  const memory::KvCache& cache_;
};

}  // namespace sluice::engine
