#include "weights/quote.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace sluice::weights {
namespace {

unsigned char byte_at(std::string_view text, size_t at) {
  return static_cast<unsigned char>(text[at]);
}

// Bytes of the well-formed UTF-8 character that begins there, or 0. (Unicode, table 3-7.)
size_t character_bytes(std::string_view text, size_t at) {
  const unsigned char lead = byte_at(text, at);
  if (lead < 0x80u) return 1;
  if (lead < 0xc2u || lead > 0xf4u) return 0;
  const size_t bytes = lead < 0xe0u ? 2 : lead < 0xf0u ? 3 : 4;
  if (text.size() - at < bytes) return 0;
  const unsigned char second = byte_at(text, at + 1);
  if ((lead == 0xe0u && second < 0xa0u) || (lead == 0xedu && second > 0x9fu) ||
      (lead == 0xf0u && second < 0x90u) || (lead == 0xf4u && second > 0x8fu)) {
    return 0;
  }
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte_at(text, at + i) & 0xc0u) != 0x80u) return 0;
  }
  return bytes;
}

}  // namespace

std::string quote(std::string_view name) {
  std::string text = "'";
  size_t at = 0;
  while (at < name.size()) {
    const size_t bytes = character_bytes(name, at);
    if (at + std::max<size_t>(bytes, 1) > kMaxQuotedBytes) break;
    const unsigned char first = byte_at(name, at);
    if (bytes > 1 || (bytes == 1 && first >= 0x20u && first != 0x7fu)) {
      text += name.substr(at, bytes);
      at += bytes;
      continue;
    }
    std::array<char, 8> escaped{};
    std::snprintf(escaped.data(), escaped.size(), "\\x%02x", first);
    text += escaped.data();
    ++at;
  }
  return text + (at < name.size() ? "...'" : "'");
}

}  // namespace sluice::weights
