// What a seed decides: one stream of draws, the same on every machine.
#pragma once

#include <cstdint>

namespace sluice::sim {

// splitmix64: https://prng.di.unimi.it/splitmix64.c
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t bits() {
    state_ += 0x9e3779b97f4a7c15u;
    uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
  }
  // 0 to below - 1, below >= 1.
  int64_t below(int64_t below) {
    return static_cast<int64_t>(bits() % static_cast<uint64_t>(below));
  }
  // From least to most, both included.
  int64_t between(int64_t least, int64_t most) { return least + below(most - least + 1); }
  // [0, 1)
  double share() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
  bool chance(double probability) { return share() < probability; }
  // A duration with a long tail: mostly near `typical_ns`, now and then up to two hundred times that.
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
  uint64_t state_;
};

}  // namespace sluice::sim
