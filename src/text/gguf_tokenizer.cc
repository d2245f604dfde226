#include <optional>
#include <string>
#include <vector>

#include "text/handle.h"
#include "text/tokenizer.h"

namespace sluice::text {
namespace {

Error too_many(const char* what, size_t count, size_t limit, const char* name) {
  return {ErrorCode::kInvalid, "the GGUF vocabulary has " + std::to_string(count) + " " + what +
                                   ", " + name + " allows " + std::to_string(limit)};
}

// The same strings for the C ABI. `bytes` grows by theirs.
Result<std::vector<sluice_text_slice>> slices(const std::vector<std::string_view>& texts,
                                              const char* what, size_t most_bytes, size_t& bytes) {
  std::vector<sluice_text_slice> out;
  out.reserve(texts.size());
  for (const std::string_view text : texts) {
    if (text.size() > most_bytes) {
      return over_limit(what + (" " + std::to_string(out.size())) + " of the GGUF vocabulary",
                        text.size(), most_bytes, "token_bytes");
    }
    bytes += text.size();
    out.push_back(slice(text));
  }
  return out;
}

int8_t told(std::optional<bool> flag) { return flag ? static_cast<int8_t>(*flag) : int8_t{-1}; }

int64_t id_or_none(std::optional<int32_t> id) { return id ? *id : SLUICE_TEXT_NO_ID; }

}  // namespace

Result<Tokenizer> Tokenizer::from_gguf(const GgufVocabulary& vocabulary, TokenizerLimits limits) {
  if (vocabulary.tokens.size() > limits.vocab_ids) {
    return too_many("tokens", vocabulary.tokens.size(), limits.vocab_ids, "vocab_ids");
  }
  if (vocabulary.merges.size() > limits.merges) {
    return too_many("merges", vocabulary.merges.size(), limits.merges, "merges");
  }
  size_t bytes = 0;
  SLUICE_ASSIGN(const auto tokens, slices(vocabulary.tokens, "token", limits.token_bytes, bytes));
  SLUICE_ASSIGN(const auto merges,
                slices(vocabulary.merges, "merge", 2 * limits.token_bytes + 1, bytes));
  if (bytes > limits.vocabulary_bytes) {
    return over_limit("the GGUF vocabulary", bytes, limits.vocabulary_bytes, "vocabulary_bytes");
  }

  sluice_text_gguf_vocabulary raw = {};
  raw.model = slice(vocabulary.model);
  raw.pre = slice(vocabulary.pre);
  raw.tokens = tokens.data();
  raw.token_count = tokens.size();
  raw.types = vocabulary.token_types.data();
  raw.type_count = vocabulary.token_types.size();
  raw.scores = vocabulary.scores.data();
  raw.score_count = vocabulary.scores.size();
  raw.merges = merges.data();
  raw.merge_count = merges.size();
  raw.max_merges = limits.merges;
  raw.cached_words = limits.cached_words;
  raw.bos = id_or_none(vocabulary.bos);
  raw.eos = id_or_none(vocabulary.eos);
  raw.unk = id_or_none(vocabulary.unk);
  raw.add_bos = told(vocabulary.add_bos);
  raw.add_eos = told(vocabulary.add_eos);
  raw.add_space_prefix = told(vocabulary.add_space_prefix);
  raw.remove_extra_whitespaces = told(vocabulary.remove_extra_whitespaces);

  sluice_text_tokenizer* made = nullptr;
  Reply reply;
  const int32_t status = sluice_text_tokenizer_from_gguf(&raw, &made, reply.out());
  if (status != SLUICE_TEXT_OK) return reply.error(status);
  return own(made, limits);
}

}  // namespace sluice::text
