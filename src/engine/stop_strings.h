// Finds stop strings in text that arrives piece by piece.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace sluice::engine {

class StopStrings {
 public:
  StopStrings() = default;
  explicit StopStrings(std::vector<std::string> strings) : strings_(std::move(strings)) {}

  struct Found {
    size_t at = 0;     // first byte of the match in the whole text
    size_t end = 0;    // one past its last byte
    size_t which = 0;  // index of the string
  };

  // `text` is the whole output so far, of which [scanned, size) is new. The earliest match, the
  // longest string first among those that start together.
  std::optional<Found> find(const std::string& text, size_t scanned) const;

  // How many bytes at the end of `text` might yet turn into a stop string, and so must not be
  // shown.
  size_t held_back(const std::string& text) const;

  const std::string& operator[](size_t which) const { return strings_[which]; }
  bool empty() const { return strings_.empty(); }

 private:
  std::vector<std::string> strings_;
};

}  // namespace sluice::engine
