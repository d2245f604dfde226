// tokenizer.json from anyone: it is read or refused, and what was read encodes and decodes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "text/detokenizer.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  sluice::text::TokenizerLimits limits;
  limits.json_bytes = 1 << 16;
  limits.vocab_ids = 1 << 16;
  const auto tokenizer = sluice::text::Tokenizer::from_json(
      std::string_view(reinterpret_cast<const char*>(data), size), limits);
  if (!tokenizer) return 0;
  const auto ids = tokenizer->encode("Hello, 1234 w\u00f6rld \U0001F600\n", true);
  if (!ids) return 0;
  sluice::text::Detokenizer detokenizer(*tokenizer, true);
  for (const int32_t id : *ids) {
    detokenizer.push(id);
    tokenizer->token_bytes(id);
  }
  detokenizer.finish();
  static_cast<void>(tokenizer->decode(*ids, false).ok());
  return 0;
}
