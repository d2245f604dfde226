// Pseudo-random bits that are the same on every machine.
#pragma once

#include <cstdint>

namespace sluice::base {

// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): its step, and the mixing of its output, in which
// every bit that goes in reaches every bit that comes out.
inline constexpr uint64_t kSplitMixStep = 0x9e3779b97f4a7c15u;
constexpr uint64_t mix_bits(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

// From 64 bits, in [0, 1).
constexpr double unit_interval(uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

// The stream of draws that a seed stands for.
class SplitMix64 {
 public:
  explicit constexpr SplitMix64(uint64_t seed) : state_(seed) {}

  constexpr uint64_t bits() { return mix_bits(state_ += kSplitMixStep); }
  constexpr double uniform() { return unit_interval(bits()); }  // [0, 1)

 private:
  uint64_t state_;
};

}  // namespace sluice::base
