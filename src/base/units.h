// Quantities as people write and read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace sluice::base {

// "4G", "512M", "1.5GiB", "4096" -> bytes. K, M, G, T are powers of 1024, with or without B or iB.
Result<int64_t> parse_bytes(std::string_view text);

// 1536 -> "1.5 KiB".
std::string format_bytes(double bytes);

// 12345678 -> "12,345,678".
std::string format_count(int64_t count);

// part / whole, and 0 where there is no whole: of a run that has not begun.
inline double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

// Seconds -> "38 s", "4 m 12 s", "3 h 05 m".
std::string format_seconds(double seconds);

}  // namespace sluice::base
