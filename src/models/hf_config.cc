#include "models/hf_config.h"

#include <cmath>

namespace sluice::models {

HfConfig::HfConfig(const Json& json, std::string where) : json_(json), where_(std::move(where)) {
  if (!json_.is_object()) fail({ErrorCode::kInvalid, where_ + " is not a JSON object"});
}

void HfConfig::fail(Error error) {
  if (!error_) error_ = std::move(error);
}

bool HfConfig::has(const char* key) const {
  return json_.is_object() && json_.contains(key) && !json_[key].is_null();
}

const Json* HfConfig::find(const char* key) {
  read_.insert(key);
  return has(key) ? &json_[key] : nullptr;
}

int64_t HfConfig::whole(const char* key, int64_t least, int64_t most,
                        std::optional<int64_t> fallback) {
  if (find(key) == nullptr && fallback) return *fallback;
  auto value = base::field<int64_t>(json_, key, where_);
  if (!value) {
    fail(value.error());
    return least;
  }
  if (*value < least || *value > most) {
    fail({ErrorCode::kInvalid, where_ + ": '" + key + "' is " + std::to_string(*value) +
                                   ", outside " + std::to_string(least) + " to " +
                                   std::to_string(most)});
    return least;
  }
  return *value;
}

int64_t HfConfig::size(const char* key, int64_t most) { return whole(key, 1, most, std::nullopt); }

int64_t HfConfig::size_or(const char* key, int64_t fallback, int64_t most) {
  return whole(key, 1, most, fallback);
}

std::optional<int64_t> HfConfig::optional_size(const char* key) {
  if (find(key) == nullptr) return std::nullopt;
  return whole(key, 1, int64_t{1} << 40, std::nullopt);
}

std::optional<double> HfConfig::optional_real(const char* key) {
  if (find(key) == nullptr) return std::nullopt;
  auto value = base::field<double>(json_, key, where_);
  if (!value) {
    fail(value.error());
    return std::nullopt;
  }
  if (!std::isfinite(*value)) fail({ErrorCode::kInvalid, where_ + ": '" + key + "' is not finite"});
  return *value;
}

double HfConfig::real_or(const char* key, double fallback) {
  const double value = optional_real(key).value_or(fallback);
  if (!(value > 0)) fail({ErrorCode::kInvalid, where_ + ": '" + key + "' must be positive"});
  return value;
}

bool HfConfig::flag_or(const char* key, bool fallback) {
  read_.insert(key);
  auto value = base::field_or<bool>(json_, key, fallback, where_);
  if (!value) fail(value.error());
  return value ? *value : fallback;
}

std::string HfConfig::text_or(const char* key, const std::string& fallback) {
  read_.insert(key);
  auto value = base::field_or<std::string>(json_, key, fallback, where_);
  if (!value) fail(value.error());
  return value ? *value : fallback;
}

std::vector<int64_t> HfConfig::sizes(const char* key) {
  const Json* json = find(key);
  std::vector<int64_t> values;
  if (json == nullptr) return values;
  for (const Json& element : json->is_array() ? *json : Json::array({*json})) {
    if (!element.is_number_integer() || element.get<int64_t>() < 0) {
      fail({ErrorCode::kInvalid, where_ + ": '" + key + "' is not a list of whole numbers"});
      return {};
    }
    values.push_back(element.get<int64_t>());
  }
  return values;
}

std::vector<int32_t> HfConfig::token_ids(const char* key) {
  std::vector<int32_t> ids;
  for (int64_t value : sizes(key)) {
    if (value > INT32_MAX)
      fail({ErrorCode::kInvalid, where_ + ": '" + key + "' holds no token id"});
    ids.push_back(static_cast<int32_t>(value));
  }
  return ids;
}

const Json* HfConfig::object(const char* key) {
  const Json* json = find(key);
  if (json == nullptr) return nullptr;
  if (!json->is_object()) {
    fail({ErrorCode::kInvalid, where_ + ": '" + key + "' is not an object"});
    return nullptr;
  }
  return json->empty() ? nullptr : json;
}

void HfConfig::ignore(std::initializer_list<const char*> keys) {
  for (const char* key : keys) read_.insert(key);
}

Status HfConfig::finish() {
  if (error_) return *error_;
  std::string unread;
  for (const auto& [key, value] : json_.items()) {
    if (read_.contains(key) || key.starts_with("_")) continue;
    unread += (unread.empty() ? "'" : ", '") + key + "'";
  }
  if (unread.empty()) return {};
  return Error{ErrorCode::kUnsupported,
               where_ + ": " + unread +
                   " may change the result and is not known to sluice for this architecture; " +
                   "remove it if it has no effect"};
}

}  // namespace sluice::models
