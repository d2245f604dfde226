// JSON with limits and with errors that name the field.
#pragma once

#include <nlohmann/json.hpp>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/error.h"

namespace sluice::base {

// Keeps the order of keys, as a program that prints what it read must.
using Json = nlohmann::ordered_json;

struct JsonLimits {
  size_t bytes = size_t{64} << 20;
  int depth = 64;
  size_t keys_per_object = 4096;  // looking a key up walks the object
  bool refuse_duplicate_keys = true;
};

// Strict JSON: UTF-8, no comments, no trailing text, no duplicate keys. The error says at which
// byte.
Result<Json> parse_json(std::string_view text, const JsonLimits& limits = {});

// One line, keys in order, invalid UTF-8 replaced (never thrown at).
std::string to_line(const Json& json);

// object[key] as T, or an error that names `where` and the key and says what was expected.
// T is bool, int64_t, double or std::string. A null counts as absent.
template <class T>
Result<T> field(const Json& object, const char* key, const std::string& where);

// The same, with `fallback` when the key is absent or null; a wrong type is still an error.
template <class T>
Result<T> field_or(const Json& object, const char* key, T fallback, const std::string& where);

template <>
Result<bool> field<bool>(const Json& object, const char* key, const std::string& where);
template <>
Result<int64_t> field<int64_t>(const Json& object, const char* key, const std::string& where);
template <>
Result<double> field<double>(const Json& object, const char* key, const std::string& where);
template <>
Result<std::string> field<std::string>(const Json& object, const char* key,
                                       const std::string& where);

}  // namespace sluice::base

namespace sluice {
using base::Json;
}
