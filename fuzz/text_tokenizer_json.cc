// tokenizer.json from anyone: it is read or refused, and what was read encodes and decodes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "text/tokenizer.h"
#include "use_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  sluice::text::TokenizerLimits limits;
  limits.json_bytes = 1 << 16;
  limits.cached_words = 0;  // else every run leaves its words behind
  limits.vocab_ids = 1 << 16;
  const auto tokenizer = sluice::text::Tokenizer::from_json(
      std::string_view(reinterpret_cast<const char*>(data), size), limits);
  if (tokenizer) use_tokenizer(*tokenizer, "Hello, 1234 w\u00f6rld \U0001F600\n");
  return 0;
}
