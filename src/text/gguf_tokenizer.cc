#include "text/tokenizer.h"

namespace sluice::text {

Result<Tokenizer> Tokenizer::from_gguf(const GgufVocabulary& vocabulary, TokenizerLimits) {
  return Error{ErrorCode::kUnsupported,
               "the tokenizer model '" + vocabulary.model + "' of a GGUF file is not read yet"};
}

}  // namespace sluice::text
