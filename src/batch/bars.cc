#include "batch/bars.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "base/units.h"

namespace sluice::batch {
namespace {

constexpr const char* kAcross[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
constexpr const char* kUp[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

}  // namespace

std::string bar(double share, int cells) {
  const double clipped = std::isfinite(share) ? std::clamp(share, 0.0, 1.0) : 0.0;
  auto eighths = static_cast<int>(std::lround(clipped * cells * 8));
  // What is there, however little, shows.
  if (clipped > 0) eighths = std::max(eighths, 1);
  std::string text;
  for (int i = 0; i < eighths / 8; ++i) text += "█";
  text += kAcross[eighths % 8];
  const int used = (eighths + 7) / 8;
  return text + std::string(static_cast<size_t>(std::max(0, cells - used)), ' ');
}

std::string heat(std::span<const double> values, int max_cells) {
  const size_t per_cell = std::max<size_t>(
      1, (values.size() + static_cast<size_t>(max_cells) - 1) / static_cast<size_t>(max_cells));
  double largest = 0;
  for (const double value : values) largest = std::max(largest, value);
  std::string text;
  for (size_t begin = 0; begin < values.size(); begin += per_cell) {
    double here = 0;
    for (size_t i = begin; i < std::min(begin + per_cell, values.size()); ++i)
      here = std::max(here, values[i]);
    const double eighths = largest > 0 ? std::ceil(8 * here / largest - 1e-9) : 0;
    text += kUp[static_cast<size_t>(std::clamp(eighths, 0.0, 8.0))];
  }
  return text;
}

int cells(const std::string& text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), [](char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
  }));
}

std::string pad(const std::string& text, int width) {
  return text + std::string(static_cast<size_t>(std::max(0, width - cells(text))), ' ');
}

std::string pad_left(const std::string& text, int width) {
  return std::string(static_cast<size_t>(std::max(0, width - cells(text))), ' ') + text;
}

std::string percent(double share) {
  if (!std::isfinite(share)) return "-";
  char text[32];
  const double value = 100 * share;
  const bool fine = value > 0 && value < 9.95;
  std::snprintf(text, sizeof text, fine ? "%.1f %%" : "%.0f %%", value);
  return text;
}

std::string rate(double per_second) {
  if (!std::isfinite(per_second)) return "-";
  if (per_second >= 100) return base::format_count(std::llround(per_second));
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", per_second);
  return text;
}

}  // namespace sluice::batch
