#include "models/gguf_config.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "weights/quote.h"

namespace sluice::models {

using weights::GgufValue;
using weights::quote;

GgufConfig::GgufConfig(const weights::Checkpoint& checkpoint, const GgufShapes& elsewhere,
                       std::string architecture)
    : checkpoint_(checkpoint), elsewhere_(elsewhere), architecture_(std::move(architecture)) {
  SLUICE_CHECK(checkpoint.gguf() != nullptr, "the checkpoint is a GGUF file");
}

void GgufConfig::fail(ErrorCode code, const std::string& message) {
  if (!error_) error_ = Error{code, message};
}

const std::vector<int64_t>* GgufConfig::dims_of(std::string_view name) const {
  if (const weights::TensorEntry* entry = checkpoint_.find(name)) return &entry->dims;
  const auto found = elsewhere_.find(name);
  return found == elsewhere_.end() ? nullptr : &found->second;
}

std::string GgufConfig::quoted(const char* key) const { return quote(architecture_ + "." + key); }

const GgufValue* GgufConfig::find(const char* key) {
  const std::string full = architecture_ + "." + key;
  read_.insert(full);
  return metadata().find(full);
}

std::optional<int64_t> GgufConfig::whole(const char* key, int64_t least, int64_t most) {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_whole() || value->count < 1) {
    fail(ErrorCode::kInvalid, quoted(key) + " is not a whole number");
    return std::nullopt;
  }
  const std::optional<int64_t> first = value->whole(0);
  for (int64_t i = 1; i < value->count; ++i) {
    if (value->whole(i) == first) continue;
    fail(ErrorCode::kUnsupported,
         quoted(key) + " differs between layers, which sluice does not support");
    return std::nullopt;
  }
  if (!first || *first < least || *first > most) {
    fail(ErrorCode::kInvalid, quoted(key) + " is " +
                                  (first ? std::to_string(*first) : "beyond 2^63") + ", outside " +
                                  std::to_string(least) + " to " + std::to_string(most));
    return std::nullopt;
  }
  return first;
}

int64_t GgufConfig::size(const char* key, int64_t most) {
  const std::optional<int64_t> value = whole(key, 1, most);
  if (!value) fail(ErrorCode::kInvalid, quoted(key) + " is missing");
  return value.value_or(1);
}

std::optional<int64_t> GgufConfig::optional_size(const char* key, int64_t most) {
  const std::optional<int64_t> value = whole(key, 0, most);
  return value == 0 ? std::nullopt : value;
}

std::optional<double> GgufConfig::optional_real(const char* key) {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  const std::optional<double> real = value->is_array ? std::nullopt : value->real();
  if (!real || !std::isfinite(*real)) {
    fail(ErrorCode::kInvalid, quoted(key) + " is not a finite real number");
    return std::nullopt;
  }
  return real;
}

double GgufConfig::real(const char* key) {
  const std::optional<double> value = optional_real(key);
  if (!value) fail(ErrorCode::kInvalid, quoted(key) + " is missing");
  if (value && !(*value > 0)) fail(ErrorCode::kInvalid, quoted(key) + " must be positive");
  return value.value_or(1);
}

std::optional<bool> GgufConfig::optional_flag(const char* key) {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  const std::optional<bool> flag = value->is_array ? std::nullopt : value->flag();
  if (!flag) fail(ErrorCode::kInvalid, quoted(key) + " is neither true nor false");
  return flag;
}

std::string GgufConfig::text_or(const char* key, const std::string& fallback) {
  const GgufValue* value = find(key);
  if (value == nullptr) return fallback;
  const auto text = value->text();
  if (!text) fail(ErrorCode::kInvalid, quoted(key) + " is not a string");
  return std::string(text.value_or(fallback));
}

void GgufConfig::only_whole(const char* key, std::initializer_list<int64_t> allowed) {
  const std::optional<int64_t> value = whole(key, INT64_MIN, INT64_MAX);
  if (!value || std::ranges::find(allowed, *value) != allowed.end()) return;
  fail(ErrorCode::kUnsupported,
       quoted(key) + " is " + std::to_string(*value) + ", which sluice does not support");
}

void GgufConfig::only_real(const char* key, std::initializer_list<double> allowed) {
  const std::optional<double> value = optional_real(key);
  if (!value || std::ranges::find(allowed, *value) != allowed.end()) return;
  fail(ErrorCode::kUnsupported,
       quoted(key) + " is " + std::to_string(*value) + ", which sluice does not support");
}

void GgufConfig::ignore(std::initializer_list<const char*> keys) {
  for (const char* key : keys) find(key);
}

Status GgufConfig::finish() {
  if (error_) return *error_;
  std::string unread;
  const std::string prefix = architecture_ + ".";
  for (const auto& [key, value] : metadata().entries()) {
    if (!key.starts_with(prefix) || read_.contains(key)) continue;
    unread += (unread.empty() ? "" : ", ") + quote(key);
  }
  if (unread.empty()) return {};
  return Error{ErrorCode::kUnsupported,
               unread + " may change the result and is not known to sluice for this architecture"};
}

}  // namespace sluice::models
