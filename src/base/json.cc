#include "base/json.h"

#include <cmath>
#include <set>

namespace sluice::base {
namespace {

// Builds the document as nlohmann's own callback parser does, but refuses depth and duplicates
// early.
class Guard {
 public:
  explicit Guard(const JsonLimits& limits) : limits_(limits) {}

  bool operator()(int depth, Json::parse_event_t event, Json& parsed) {
    switch (event) {
      case Json::parse_event_t::object_start:
      case Json::parse_event_t::array_start:
        if (depth >= limits_.depth)
          throw Error{ErrorCode::kInvalid,
                      "nested deeper than " + std::to_string(limits_.depth) + " levels"};
        if (event == Json::parse_event_t::object_start) keys_.emplace_back();
        return true;
      case Json::parse_event_t::object_end:
        keys_.pop_back();
        return true;
      case Json::parse_event_t::key: {
        const bool is_new = keys_.back().insert(parsed.get<std::string>()).second;
        if (limits_.refuse_duplicate_keys && !is_new) {
          throw Error{ErrorCode::kInvalid, "duplicate key '" + parsed.get<std::string>() + "'"};
        }
        if (keys_.back().size() > limits_.keys_per_object) {
          throw Error{ErrorCode::kInvalid, "an object of more than " +
                                               std::to_string(limits_.keys_per_object) + " keys"};
        }
        return true;
      }
      case Json::parse_event_t::array_end:
      case Json::parse_event_t::value:
        return true;
    }
    return true;
  }

 private:
  JsonLimits limits_;
  std::vector<std::set<std::string>> keys_;
};

Error wrong(const Json& object, const char* key, const char* expected, const std::string& where) {
  const auto it = object.is_object() ? object.find(key) : object.end();
  if (!object.is_object() || it == object.end() || it->is_null()) {
    return {ErrorCode::kInvalid,
            where + ": '" + key + "' is missing; " + expected + " is expected"};
  }
  std::string shown = to_line(*it);
  if (shown.size() > 40) shown = shown.substr(0, 40) + "...";
  return {ErrorCode::kInvalid,
          where + ": '" + key + "' is " + shown + "; " + expected + " is expected"};
}

}  // namespace

Result<Json> parse_json(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.bytes) {
    return Error{ErrorCode::kInvalid, "JSON of " + std::to_string(text.size()) +
                                          " bytes is over the limit of " +
                                          std::to_string(limits.bytes)};
  }
  try {
    return Json::parse(text.begin(), text.end(), Guard(limits));
  } catch (const Error& error) {
    return error;
  } catch (const Json::parse_error& error) {
    return Error{ErrorCode::kInvalid, "not JSON at byte " + std::to_string(error.byte)};
  } catch (const Json::exception& error) {
    return Error{ErrorCode::kInvalid, std::string("not JSON: ") + error.what()};
  }
}

std::string to_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

template <>
Result<bool> field<bool>(const Json& object, const char* key, const std::string& where) {
  if (object.is_object() && object.contains(key) && object[key].is_boolean())
    return object[key].get<bool>();
  return wrong(object, key, "true or false", where);
}

template <>
Result<int64_t> field<int64_t>(const Json& object, const char* key, const std::string& where) {
  if (object.is_object() && object.contains(key)) {
    const Json& value = object[key];
    if (value.is_number_unsigned() && value.get<uint64_t>() <= uint64_t{INT64_MAX})
      return value.get<int64_t>();
    if (value.is_number_integer() && !value.is_number_unsigned()) return value.get<int64_t>();
    // Some writers print whole numbers as 1e6 or 4.0.
    if (value.is_number_float()) {
      const double real = value.get<double>();
      if (std::nearbyint(real) == real && std::fabs(real) < 9e15) return static_cast<int64_t>(real);
    }
  }
  return wrong(object, key, "a whole number", where);
}

template <>
Result<double> field<double>(const Json& object, const char* key, const std::string& where) {
  if (object.is_object() && object.contains(key) && object[key].is_number())
    return object[key].get<double>();
  return wrong(object, key, "a number", where);
}

template <>
Result<std::string> field<std::string>(const Json& object, const char* key,
                                       const std::string& where) {
  if (object.is_object() && object.contains(key) && object[key].is_string())
    return object[key].get<std::string>();
  return wrong(object, key, "a string", where);
}

template <class T>
Result<T> field_or(const Json& object, const char* key, T fallback, const std::string& where) {
  if (object.is_object() && (!object.contains(key) || object[key].is_null())) return fallback;
  return field<T>(object, key, where);
}

template Result<bool> field_or<bool>(const Json&, const char*, bool, const std::string&);
template Result<int64_t> field_or<int64_t>(const Json&, const char*, int64_t, const std::string&);
template Result<double> field_or<double>(const Json&, const char*, double, const std::string&);
template Result<std::string> field_or<std::string>(const Json&, const char*, std::string,
                                                   const std::string&);

}  // namespace sluice::base
