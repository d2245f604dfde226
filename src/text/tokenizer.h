// Text to token ids and back, exactly as the `tokenizers` library does it: from a Hugging Face
// tokenizer.json, or from the vocabulary of a GGUF file.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/gguf_vocabulary.h"

struct sluice_text_tokenizer;

namespace sluice::text {

struct TokenizerLimits {
  size_t json_bytes = size_t{256} << 20;   // of tokenizer.json
  size_t prompt_bytes = size_t{16} << 20;  // of one text to encode
  size_t vocab_ids = 4'000'000;            // the highest token id, plus one
  // Words whose tokens a thread that encodes remembers. The library gives them back when the thread
  // ends, not when the tokenizer goes: whoever makes many tokenizers wants 0.
  size_t cached_words = 10'000;
  // Of a GGUF file's vocabulary:
  size_t merges = 4'000'000;                    // listed, or made from scores
  size_t token_bytes = 1024;                    // of one token; a merge has two
  size_t vocabulary_bytes = size_t{128} << 20;  // of all tokens and merges together
};

// Immutable once read; copies share it, and threads may use it at the same time.
class Tokenizer {
 public:
  // Truncation and padding that tokenizer.json asks for are left out, as transformers does by
  // default.
  static Result<Tokenizer> from_json(std::string_view json, TokenizerLimits limits = {});
  // `path` is a model directory that holds tokenizer.json. kNotFound when it does not.
  static Result<Tokenizer> from_directory(const std::string& path, TokenizerLimits limits = {});
  // The tokenizer that the GGUF file's vocabulary was converted from. kUnsupported: a model or a
  // pre-tokenizer that is not known, by name; kInvalid: a vocabulary that contradicts itself.
  static Result<Tokenizer> from_gguf(const GgufVocabulary& vocabulary, TokenizerLimits limits = {});

  // UTF-8 to ids. Special tokens spelled in `text` become their ids; add_special_tokens adds those
  // of the post-processor (a BOS, say). kInvalid: not UTF-8, or longer than prompt_bytes.
  Result<std::vector<int32_t>> encode(std::string_view text, bool add_special_tokens) const;

  // Ids to UTF-8. Ids past the vocabulary (a padded head has them) decode to nothing, as in Hugging
  // Face tokenizers; negative ids are kInvalid.
  Result<std::string> decode(std::span<const int32_t> ids, bool skip_special_tokens) const;

  // The bytes that a token stands for in running text, not necessarily whole characters: byte-level
  // alphabets and byte fallback are undone, SentencePiece's U+2581 is a space. Empty for unknown
  // ids.
  std::string token_bytes(int32_t id) const;

  // -1 when there is no such token.
  int32_t token_to_id(std::string_view token) const;
  // As tokenizer.json spells it; empty for unknown ids.
  std::string id_to_token(int32_t id) const;

  // The highest id plus one. A model's vocabulary may be larger (padding).
  int32_t vocab_size() const { return vocab_size_; }
  // Ids of the special added tokens, ascending.
  const std::vector<int32_t>& special_ids() const { return special_ids_; }
  bool is_special(int32_t id) const;

  const TokenizerLimits& limits() const { return limits_; }
  // For this folder's own use.
  const sluice_text_tokenizer* handle() const { return handle_.get(); }

 private:
  Tokenizer() = default;
  // Takes over `raw`.
  static Result<Tokenizer> own(sluice_text_tokenizer* raw, TokenizerLimits limits);
  std::shared_ptr<sluice_text_tokenizer> handle_;
  TokenizerLimits limits_;
  int32_t vocab_size_ = 0;
  std::vector<int32_t> special_ids_;
};

}  // namespace sluice::text
