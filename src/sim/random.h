// What a seed decides: one stream of draws, the same on every machine.
#pragma once

#include <cstdint>

#include "base/random.h"

namespace sluice::sim {

class Random {
 public:
  explicit Random(uint64_t seed) : stream_(seed) {}

  uint64_t bits() { return stream_.bits(); }
  // 0 to below - 1, below >= 1.
  int64_t below(int64_t below) {
    return static_cast<int64_t>(bits() % static_cast<uint64_t>(below));
  }
  // From least to most, both included.
  int64_t between(int64_t least, int64_t most) { return least + below(most - least + 1); }
  // [0, 1)
  double share() { return stream_.uniform(); }
  bool chance(double probability) { return share() < probability; }
  // A duration with a long tail: mostly near `typical_ns`, now and then up to two hundred times
  // that.
  int64_t delay_ns(int64_t typical_ns) {
    int64_t delay = typical_ns / 4 + below(typical_ns + 1);
    if (chance(0.05)) delay += below(20 * typical_ns + 1);
    if (chance(0.01)) delay += below(200 * typical_ns + 1);
    return delay;
  }
  template <class Container>
  auto& pick(Container& from) {
    return from[static_cast<size_t>(below(static_cast<int64_t>(from.size())))];
  }

 private:
  base::SplitMix64 stream_;
};

}  // namespace sluice::sim
