// Normal numbers as fast as a disk takes them: one lookup for each, by twelve random bits.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace sluice::bench {

// splitmix64: https://prng.di.unimi.it/splitmix64.c
class RandomBits {
 public:
  explicit RandomBits(uint64_t seed) : state_(seed) {}
  // A source of its own for each name, so that cutting layers leaves the others as they are.
  RandomBits(uint64_t seed, std::string_view name);

  uint64_t operator()() {
    state_ += 0x9e3779b97f4a7c15u;
    uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
  }

 private:
  uint64_t state_;
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
