// Whole pieces of a size.
#pragma once

#include <concepts>
#include <type_traits>

namespace sluice::base {

// Pieces of `piece` that hold `value`; value >= 0, piece >= 1.
template <std::integral T, std::integral Piece>
constexpr std::common_type_t<T, Piece> div_up(T value, Piece piece) {
  using Wide = std::common_type_t<T, Piece>;
  return (static_cast<Wide>(value) + static_cast<Wide>(piece) - 1) / static_cast<Wide>(piece);
}

// The least multiple of `piece` that is not below `value`; value >= 0, piece >= 1.
template <std::integral T, std::integral Piece>
constexpr std::common_type_t<T, Piece> round_up(T value, Piece piece) {
  return div_up(value, piece) * static_cast<std::common_type_t<T, Piece>>(piece);
}

}  // namespace sluice::base
