#include "text/detokenizer.h"

#include "base/check.h"
#include "text/handle.h"

namespace sluice::text {

void Detokenizer::Free::operator()(sluice_text_detokenizer* handle) const {
  sluice_text_detokenizer_free(handle);
}

Detokenizer::Detokenizer(const Tokenizer& tokenizer, bool skip_special_tokens,
                         size_t max_held_tokens)
    : handle_(
          sluice_text_detokenizer_new(tokenizer.handle(), skip_special_tokens, max_held_tokens)) {}

Detokenizer::Detokenizer(const Detokenizer& other)
    : handle_(sluice_text_detokenizer_clone(other.handle_.get())) {
  SLUICE_CHECK(handle_ != nullptr, "a detokenizer can be copied");
}

Detokenizer& Detokenizer::operator=(const Detokenizer& other) {
  if (this != &other) *this = Detokenizer(other);
  return *this;
}

Detokenizer::Detokenizer(Detokenizer&&) noexcept = default;
Detokenizer& Detokenizer::operator=(Detokenizer&&) noexcept = default;
Detokenizer::~Detokenizer() = default;

std::string Detokenizer::push(int32_t id) {
  if (id < 0) return {};
  Reply reply;
  const int32_t status =
      sluice_text_detokenizer_push(handle_.get(), static_cast<uint32_t>(id), reply.out());
  return status == SLUICE_TEXT_OK ? reply.text() : "\uFFFD";
}

std::string Detokenizer::finish() {
  Reply reply;
  const int32_t status = sluice_text_detokenizer_finish(handle_.get(), reply.out());
  return status == SLUICE_TEXT_OK ? reply.text() : "\uFFFD";
}

}  // namespace sluice::text
