// What anyone does with a tokenizer that was read: encodes, decodes at once and piece by piece.
#pragma once

#include <cstdint>
#include <string_view>

#include "text/detokenizer.h"
#include "text/tokenizer.h"

inline void use_tokenizer(const sluice::text::Tokenizer& tokenizer, std::string_view text) {
  const auto ids = tokenizer.encode(text, true);
  if (!ids) return;
  sluice::text::Detokenizer detokenizer(tokenizer, true);
  for (const int32_t id : *ids) {
    detokenizer.push(id);
    tokenizer.token_bytes(id);
  }
  detokenizer.finish();
  static_cast<void>(tokenizer.decode(*ids, false).ok());
}
