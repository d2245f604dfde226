#include "engine/stop_strings.h"

#include <algorithm>

namespace sluice::engine {

std::optional<StopStrings::Found> StopStrings::find(const std::string& text, size_t scanned) const {
  std::optional<Found> first;
  for (size_t which = 0; which < strings_.size(); ++which) {
    const std::string& stop = strings_[which];
    const size_t from = scanned > stop.size() - 1 ? scanned - (stop.size() - 1) : 0;
    const size_t at = text.find(stop, from);
    if (at == std::string::npos) continue;
    const Found found{at, at + stop.size(), which};
    if (!first || found.at < first->at || (found.at == first->at && found.end > first->end))
      first = found;
  }
  return first;
}

size_t StopStrings::held_back(const std::string& text) const {
  size_t most = 0;
  for (const std::string& stop : strings_) {
    for (size_t length = std::min(stop.size() - 1, text.size()); length > most; --length) {
      if (text.compare(text.size() - length, length, stop, 0, length) == 0) {
        most = length;
        break;
      }
    }
  }
  return most;
}

}  // namespace sluice::engine
