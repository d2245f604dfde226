// A GGUF file's vocabulary from anyone: it makes a tokenizer or is refused, and what was made
// encodes and decodes. The input spells it in lines, each with a letter that says what it is: a
// digit (a token of that type), s (its score), m (a merge), M and P (model and pre-tokenizer), b, e
// and u (ids of bos, eos and unk), B, E, S and W (add_bos, add_eos, add_space_prefix,
// remove_extra_whitespaces).
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "text/gguf_vocabulary.h"
#include "text/tokenizer.h"
#include "use_tokenizer.h"

namespace {

using sluice::text::GgufVocabulary;

void take_line(char letter, std::string_view rest, GgufVocabulary& vocabulary) {
  const std::string text(rest);
  const auto number = static_cast<int32_t>(std::strtol(text.c_str(), nullptr, 10));
  switch (letter) {
    case 's':
      vocabulary.scores.push_back(std::strtof(text.c_str(), nullptr));
      break;
    case 'm':
      vocabulary.merges.push_back(rest);
      break;
    case 'M':
      vocabulary.model = text;
      break;
    case 'P':
      vocabulary.pre = text;
      break;
    case 'b':
      vocabulary.bos = number;
      break;
    case 'e':
      vocabulary.eos = number;
      break;
    case 'u':
      vocabulary.unk = number;
      break;
    case 'B':
      vocabulary.add_bos = number != 0;
      break;
    case 'E':
      vocabulary.add_eos = number != 0;
      break;
    case 'S':
      vocabulary.add_space_prefix = number != 0;
      break;
    case 'W':
      vocabulary.remove_extra_whitespaces = number != 0;
      break;
    default:
      vocabulary.tokens.push_back(rest);
      vocabulary.token_types.push_back(letter - '0');
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view left(reinterpret_cast<const char*>(data), size);
  GgufVocabulary vocabulary;
  while (!left.empty()) {
    const std::string_view line = left.substr(0, left.find('\n'));
    if (!line.empty()) take_line(line[0], line.substr(1), vocabulary);
    left.remove_prefix(std::min(left.size(), line.size() + 1));
  }
  sluice::text::TokenizerLimits limits;
  limits.cached_words = 0;  // else every run leaves its words behind
  limits.vocab_ids = 1 << 12;
  limits.merges = 1 << 12;
  const auto tokenizer = sluice::text::Tokenizer::from_gguf(vocabulary, limits);
  if (tokenizer) use_tokenizer(*tokenizer, "Hello, 1234 w\u00f6rld \U0001F600\n <s>[INST] ab");
  return 0;
}
