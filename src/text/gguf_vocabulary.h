// What a GGUF file says of its tokenizer: the values of the tokenizer.* keys, as they stand.
//
// Whoever reads the file fills this in (absent keys stay empty); Tokenizer::from_gguf and
// ChatTemplate::from_gguf check it and make of it what Hugging Face's files would have given.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::text {

// tokenizer.ggml.token_type of one token.
enum class GgufTokenType : int32_t {
  kUndefined = 0,
  kNormal = 1,
  kUnknown = 2,      // "<unk>"
  kControl = 3,      // special: never part of the answer's text
  kUserDefined = 4,  // matched whole in the text, before everything else
  kUnused = 5,       // a filler, such as "[PAD151646]"
  kByte = 6,         // "<0xE2>" of SentencePiece's byte fallback
};

// The views point into the mapped file, whose owner keeps it mapped while this is in use; what is
// made from it keeps no view. Nothing here has been checked: strings may be any bytes, the vectors
// may differ in length, ids may lie outside of the vocabulary.
struct GgufVocabulary {
  std::string model;  // tokenizer.ggml.model: "gpt2" (byte-level BPE), "llama" (SentencePiece)
  std::string pre;    // .pre: how gpt2 vocabularies split text into words; empty when absent
  std::vector<std::string_view> tokens;  // .tokens, by id
  std::vector<int32_t> token_types;      // .token_type: GgufTokenType by id
  std::vector<float> scores;             // .scores by id: "llama" alone needs them
  std::vector<std::string_view>
      merges;  // .merges, "left right", the first to be made first: "gpt2"

  std::optional<int32_t> bos;  // .bos_token_id
  std::optional<int32_t> eos;  // .eos_token_id
  std::optional<int32_t> eot;  // .eot_token_id: ends a turn of a chat
  std::optional<int32_t> eom;  // .eom_token_id: ends a message that waits for a tool
  std::optional<int32_t> unk;  // .unknown_token_id
  std::optional<int32_t> pad;  // .padding_token_id

  std::optional<bool> add_bos;                   // .add_bos_token
  std::optional<bool> add_eos;                   // .add_eos_token
  std::optional<bool> add_space_prefix;          // .add_space_prefix: "llama" alone; absent: true
  std::optional<bool> remove_extra_whitespaces;  // .remove_extra_whitespaces; absent: false

  std::optional<std::string> chat_template;  // tokenizer.chat_template
  // tokenizer.chat_template.NAME for each NAME of tokenizer.chat_templates: "tool_use", "rag".
  std::map<std::string, std::string> named_chat_templates;
};

}  // namespace sluice::text
