// Fields of hardware.json, read and checked: errors say where and what.
#pragma once

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace sluice::hardware {

inline Error invalid(const std::string& where, const std::string& what) {
  return {ErrorCode::kInvalid, where + ": " + what};
}

inline Status only(const Json& object, std::initializer_list<std::string_view> known,
                   const std::string& where) {
  if (!object.is_object()) return invalid(where, "expected an object");
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end())
      return invalid(where, "unknown field '" + key + "'");
  }
  return {};
}

inline Result<double> positive(const Json& object, const char* key, const std::string& where) {
  SLUICE_ASSIGN(const double value, base::field<double>(object, key, where));
  if (!std::isfinite(value) || value <= 0.0)
    return invalid(where, std::string("'") + key + "' must be a positive number");
  return value;
}

inline Result<std::optional<double>> maybe_positive(const Json& object, const char* key,
                                                    const std::string& where) {
  if (!object.contains(key) || object[key].is_null()) return std::optional<double>{};
  SLUICE_ASSIGN(const double value, positive(object, key, where));
  return std::optional<double>{value};
}

inline Result<int64_t> count(const Json& object, const char* key, const std::string& where) {
  SLUICE_ASSIGN(const int64_t value, base::field<int64_t>(object, key, where));
  if (value <= 0) return invalid(where, std::string("'") + key + "' must be positive");
  return value;
}

}  // namespace sluice::hardware
