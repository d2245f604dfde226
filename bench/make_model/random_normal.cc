#include "bench/make_model/random_normal.h"

#include <cmath>
#include <numbers>

namespace sluice::bench {

RandomBits::RandomBits(uint64_t seed, std::string_view name) : stream_(seed) {
  for (const char c : name)
    stream_ = base::SplitMix64(stream_.bits() ^ static_cast<unsigned char>(c));
}

double normal_quantile(double probability) {
  // Bisection on the distribution itself; the table is made once and 60 halvings are exact.
  double low = -40;
  double high = 40;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (std::erfc(-middle / std::numbers::sqrt2) / 2 < probability ? low : high) = middle;
  }
  return (low + high) / 2;
}

const std::array<float, kNormalLevels>& normal_levels() {
  static const std::array<float, kNormalLevels> kLevels = [] {
    std::array<float, kNormalLevels> levels{};
    for (int i = 0; i < kNormalLevels; ++i)
      levels[static_cast<size_t>(i)] =
          static_cast<float>(normal_quantile((i + 0.5) / kNormalLevels));
    return levels;
  }();
  return kLevels;
}

}  // namespace sluice::bench
