// Normal numbers as fast as a disk takes them: one lookup for each, by twelve random bits.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/random.h"

namespace sluice::bench {

class RandomBits {
 public:
  explicit RandomBits(uint64_t seed) : stream_(seed) {}
  // A source of its own for each name, so that cutting layers leaves the others as they are.
  RandomBits(uint64_t seed, std::string_view name);

  uint64_t operator()() { return stream_.bits(); }

 private:
  base::SplitMix64 stream_;
};

constexpr int kNormalBits = 12;
constexpr int kNormalLevels = 1 << kNormalBits;

// Standard normal numbers on 4096 levels of equal probability, the middle quantile of each.
const std::array<float, kNormalLevels>& normal_levels();

// The value below which a standard normal number lies with that probability, in (0, 1).
double normal_quantile(double probability);

// Fills `out` with entries of `levels`, each as likely as the other.
template <class T>
void fill_from_levels(std::span<T> out, const std::array<T, kNormalLevels>& levels,
                      RandomBits& bits) {
  constexpr size_t kPerDraw = 64 / kNormalBits;
  size_t i = 0;
  while (i < out.size()) {
    uint64_t draw = bits();
    for (size_t j = 0; j < kPerDraw && i < out.size(); ++j, ++i) {
      out[i] = levels[draw & (kNormalLevels - 1)];
      draw >>= kNormalBits;
    }
  }
}

}  // namespace sluice::bench
