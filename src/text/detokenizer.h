// Text out of a stream of tokens: whole characters only, a piece per token.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "text/tokenizer.h"

struct sluice_text_detokenizer;

namespace sluice::text {

// The pieces of push() and finish(), joined, are Tokenizer::decode of all the tokens, and each
// piece is UTF-8 of its own. Text is held back while the next token may still change it: an
// unfinished character, or a run of byte tokens. At most `max_held_tokens` are held; the whole
// characters of a longer run are given out, which bounds the work per token (and is the one case
// where the join may differ: Hugging Face makes every byte of a run U+FFFD when one is wrong, and
// some of a longer run may be out by then). Tokens that the tokenizer cannot decode become U+FFFD.
class Detokenizer {
 public:
  static constexpr size_t kMaxHeldTokens = 32;

  explicit Detokenizer(const Tokenizer& tokenizer, bool skip_special_tokens,
                       size_t max_held_tokens = kMaxHeldTokens);
  Detokenizer(const Detokenizer& other);
  Detokenizer& operator=(const Detokenizer& other);
  Detokenizer(Detokenizer&&) noexcept;
  Detokenizer& operator=(Detokenizer&&) noexcept;
  ~Detokenizer();

  // The text that `id` completes; often empty. Ids outside of the vocabulary have no text.
  std::string push(int32_t id);
  // What is still held; an unfinished character becomes U+FFFD. The detokenizer is then as new.
  std::string finish();

 private:
  struct Free {
    void operator()(sluice_text_detokenizer* handle) const;
  };
  std::unique_ptr<sluice_text_detokenizer, Free> handle_;
};

}  // namespace sluice::text
