// The checksum of engine directories.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice::weights {

// CRC-32C (Castagnoli; RFC 3720, appendix B.4): of "123456789" it is 0xe3069283. Of what is checked
// part by part: `before` is the sum of all that lies before these bytes.
uint32_t crc32c(std::span<const std::byte> bytes, uint32_t before = 0);

}  // namespace sluice::weights
