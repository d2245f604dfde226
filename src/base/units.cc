#include "base/units.h"

#include <charconv>
#include <cmath>
#include <cstdio>

namespace sluice::base {
namespace {

// The power of 1024 that a suffix stands for, or -1.
int suffix_power(std::string_view suffix) {
  if (suffix.empty() || suffix == "B" || suffix == "b") return 0;
  const std::string_view rest = suffix.substr(1);
  if (!rest.empty() && rest != "B" && rest != "iB" && rest != "b" && rest != "ib") return -1;
  switch (suffix[0]) {
    case 'K':
    case 'k':
      return 1;
    case 'M':
    case 'm':
      return 2;
    case 'G':
    case 'g':
      return 3;
    case 'T':
    case 't':
      return 4;
    default:
      return -1;
  }
}

std::string print(const char* format, double value, const char* unit) {
  char text[64];
  std::snprintf(text, sizeof text, format, value, unit);
  return text;
}

}  // namespace

Result<int64_t> parse_bytes(std::string_view text) {
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  const Error bad{ErrorCode::kInvalid,
                  "'" + std::string(text) +
                      "' is not a size; write bytes or a number with K, M, G or T, such as 4G"};
  if (code != std::errc() || !(value >= 0)) return bad;
  std::string_view suffix(end, static_cast<size_t>(text.data() + text.size() - end));
  while (!suffix.empty() && suffix.front() == ' ') suffix.remove_prefix(1);
  const int power = suffix_power(suffix);
  if (power < 0) return bad;
  const double bytes = value * std::pow(1024.0, power);
  if (!(bytes < 9e18)) return bad;
  return static_cast<int64_t>(bytes);
}

std::string format_bytes(double bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  size_t unit = 0;
  while (std::fabs(bytes) >= 1024.0 && unit + 1 < std::size(kUnits)) {
    bytes /= 1024.0;
    ++unit;
  }
  const bool whole = unit == 0 || bytes >= 100.0;
  return print(whole ? "%.0f %s" : "%.1f %s", bytes, kUnits[unit]);
}

std::string format_count(int64_t count) {
  std::string digits = std::to_string(count < 0 ? -count : count);
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<size_t>(at), ",");
  return count < 0 ? "-" + digits : digits;
}

std::string format_seconds(double seconds) {
  if (!std::isfinite(seconds)) return "unknown";
  if (seconds < 1.0) return print("%.0f %s", seconds * 1000.0, "ms");
  if (seconds < 60.0) return print(seconds < 10.0 ? "%.1f %s" : "%.0f %s", seconds, "s");
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  char text[64];
  if (whole < 3600) {
    std::snprintf(text, sizeof text, "%d m %02d s", static_cast<int>(whole / 60),
                  static_cast<int>(whole % 60));
  } else {
    std::snprintf(text, sizeof text, "%lld h %02d m", static_cast<long long>(whole / 3600),
                  static_cast<int>(whole % 3600 / 60));
  }
  return text;
}

}  // namespace sluice::base
