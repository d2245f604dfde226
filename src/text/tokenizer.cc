#include "text/tokenizer.h"

#include <algorithm>
#include <cstring>

#include "text/handle.h"

namespace sluice::text {
namespace {

std::vector<int32_t> ids_of(const Reply& reply) {
  std::vector<int32_t> ids(reply.view().size() / sizeof(int32_t));
  if (!ids.empty()) std::memcpy(ids.data(), reply.view().data(), reply.view().size());
  return ids;
}

}  // namespace

Result<Tokenizer> Tokenizer::from_json(std::string_view json, TokenizerLimits limits) {
  if (json.size() > limits.json_bytes) {
    return over_limit("tokenizer.json", json.size(), limits.json_bytes, "json_bytes");
  }
  sluice_text_tokenizer* raw = nullptr;
  Reply reply;
  const int32_t status = sluice_text_tokenizer_new(slice(json), limits.vocab_ids,
                                                   limits.cached_words, &raw, reply.out());
  if (status != SLUICE_TEXT_OK) return reply.error(status);

  return own(raw, limits);
}

Result<Tokenizer> Tokenizer::own(sluice_text_tokenizer* raw, TokenizerLimits limits) {
  Tokenizer tokenizer;
  tokenizer.handle_ = std::shared_ptr<sluice_text_tokenizer>(raw, sluice_text_tokenizer_free);
  tokenizer.limits_ = limits;
  tokenizer.vocab_size_ = static_cast<int32_t>(sluice_text_vocab_size(raw));
  Reply special;
  const int32_t listed = sluice_text_special_ids(raw, special.out());
  if (listed != SLUICE_TEXT_OK) return special.error(listed);
  tokenizer.special_ids_ = ids_of(special);
  return tokenizer;
}

Result<Tokenizer> Tokenizer::from_directory(const std::string& path, TokenizerLimits limits) {
  const std::string file = path + "/tokenizer.json";
  SLUICE_ASSIGN(const std::string json, read_file(file, limits.json_bytes, "json_bytes"));
  auto tokenizer = from_json(json, limits);
  if (!tokenizer) return tokenizer.error().in(file);
  return tokenizer;
}

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view text,
                                               bool add_special_tokens) const {
  if (text.size() > limits_.prompt_bytes) {
    return over_limit("the prompt", text.size(), limits_.prompt_bytes, "prompt_bytes");
  }
  Reply reply;
  const int32_t status =
      sluice_text_encode(handle_.get(), slice(text), add_special_tokens, reply.out());
  if (status != SLUICE_TEXT_OK) return reply.error(status);
  return ids_of(reply);
}

Result<std::string> Tokenizer::decode(std::span<const int32_t> ids,
                                      bool skip_special_tokens) const {
  std::vector<uint32_t> words(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0) {
      return Error{ErrorCode::kInvalid, "token id " + std::to_string(ids[i]) + " at position " +
                                            std::to_string(i) + " is negative"};
    }
    words[i] = static_cast<uint32_t>(ids[i]);
  }
  Reply reply;
  const int32_t status = sluice_text_decode(handle_.get(), words.data(), words.size(),
                                            skip_special_tokens, reply.out());
  if (status != SLUICE_TEXT_OK) return reply.error(status);
  return reply.text();
}

std::string Tokenizer::token_bytes(int32_t id) const {
  if (id < 0) return {};
  Reply reply;
  const int32_t status =
      sluice_text_token_bytes(handle_.get(), static_cast<uint32_t>(id), reply.out());
  return status == SLUICE_TEXT_OK ? reply.text() : std::string();
}

int32_t Tokenizer::token_to_id(std::string_view token) const {
  return static_cast<int32_t>(sluice_text_token_to_id(handle_.get(), slice(token)));
}

std::string Tokenizer::id_to_token(int32_t id) const {
  if (id < 0) return {};
  Reply reply;
  uint8_t found = 0;
  const int32_t status =
      sluice_text_id_to_token(handle_.get(), static_cast<uint32_t>(id), &found, reply.out());
  return status == SLUICE_TEXT_OK && found ? reply.text() : std::string();
}

bool Tokenizer::is_special(int32_t id) const {
  return std::binary_search(special_ids_.begin(), special_ids_.end(), id);
}

}  // namespace sluice::text
