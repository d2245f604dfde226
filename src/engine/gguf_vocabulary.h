// What a GGUF file says of its tokenizer and of how answers end.
#pragma once

#include <vector>

#include "base/error.h"
#include "text/gguf_vocabulary.h"
#include "weights/gguf_metadata.h"

namespace sluice::engine {

// The tokenizer.* keys; the result views into the file. Errors: a value of another kind than the
// key's, by name.
Result<text::GgufVocabulary> read_gguf_vocabulary(const weights::GgufMetadata& metadata);

// Whether there is one: a file may say "none", or nothing.
bool has_vocabulary(const text::GgufVocabulary& vocabulary);

// The tokens that end an answer. A file names one end of text, where generation_config.json may
// name several; so, as in llama.cpp, the ends of a turn and of a message count too, and control
// tokens that are known by their text ("<|im_end|>"). Each once; they may lie outside of the
// vocabulary.
std::vector<int32_t> end_tokens(const text::GgufVocabulary& vocabulary);

}  // namespace sluice::engine
