#include "weights/checksum.h"

#include <isa-l/crc.h>

#include <algorithm>

namespace sluice::weights {

uint32_t crc32c(std::span<const std::byte> bytes, uint32_t before) {
  // The library counts in int, and leaves it to its caller to invert the register at both ends.
  constexpr size_t kMostAtOnce = size_t{1} << 30;
  uint32_t state = ~before;
  while (!bytes.empty()) {
    const auto part = bytes.first(std::min(bytes.size(), kMostAtOnce));
    // It only reads; its parameter lacks the const.
    auto* data = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(part.data()));
    state = ::crc32_iscsi(data, static_cast<int>(part.size()), state);
    bytes = bytes.subspan(part.size());
  }
  return ~state;
}

}  // namespace sluice::weights
