#include "weights/quote.h"

#include <array>
#include <cstdio>

namespace sluice::weights {

std::string quote(std::string_view name) {
  std::string text = "'";
  size_t shown = name.size();
  if (shown > kMaxQuotedBytes) {
    shown = kMaxQuotedBytes;
    // Not in the middle of a UTF-8 character.
    while (shown > 0 && (static_cast<unsigned char>(name[shown]) & 0xc0u) == 0x80u) --shown;
  }
  for (const char c : name.substr(0, shown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20u && byte != 0x7fu) {
      text += c;
      continue;
    }
    std::array<char, 8> escaped{};
    std::snprintf(escaped.data(), escaped.size(), "\\x%02x", byte);
    text += escaped.data();
  }
  return text + (shown < name.size() ? "...'" : "'");
}

}  // namespace sluice::weights
