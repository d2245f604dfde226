#include "batch/fields.h"

#include <charconv>
#include <cmath>

namespace sluice::batch {
namespace {

std::string number_text(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return {text, end};
}

// Writers that know one kind of number only print 4 as 4.0 or 1e6.
std::optional<int64_t> whole_number(const Json& value) {
  if (value.is_number_unsigned()) {
    const auto unsigned_value = value.get<uint64_t>();
    if (unsigned_value <= uint64_t{INT64_MAX}) return static_cast<int64_t>(unsigned_value);
    return std::nullopt;
  }
  if (value.is_number_integer()) return value.get<int64_t>();
  if (value.is_number_float()) {
    const double real = value.get<double>();
    if (std::nearbyint(real) == real && std::fabs(real) < 9e15) return static_cast<int64_t>(real);
  }
  return std::nullopt;
}

}  // namespace

std::string shown(const Json& value) {
  constexpr size_t kMaxShownBytes = 60;
  if (value.is_structured()) return value.is_array() ? "a list" : "an object";
  std::string text = base::to_line(value);
  if (text.size() <= kMaxShownBytes) return text;
  size_t cut = kMaxShownBytes;
  while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) --cut;
  return text.substr(0, cut) + "...";
}

Fields::Fields(const Json& object, std::string where) : object_(object), where_(std::move(where)) {}

const Json* Fields::find(const char* key) {
  known_.insert(key);
  const auto it = object_.find(key);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

bool Fields::boolean(const char* key, bool& out) {
  const Json* value = find(key);
  if (value == nullptr) return false;
  if (!value->is_boolean()) {
    wrong_type(key, *value, "true or false");
    return false;
  }
  out = value->get<bool>();
  return true;
}

bool Fields::whole(const char* key, int64_t least, int64_t most, int64_t& out) {
  const Json* value = find(key);
  if (value == nullptr) return false;
  const auto number = whole_number(*value);
  if (!number) {
    wrong_type(key, *value, "a whole number");
    return false;
  }
  if (*number < least || *number > most) {
    wrong_value(key, "is " + std::to_string(*number) + "; it must be from " +
                         std::to_string(least) + " to " + std::to_string(most));
    return false;
  }
  out = *number;
  return true;
}

bool Fields::number(const char* key, double least, double most, double& out) {
  const Json* value = find(key);
  if (value == nullptr) return false;
  if (!value->is_number()) {
    wrong_type(key, *value, "a number");
    return false;
  }
  const double read = value->get<double>();
  if (!(read >= least && read <= most)) {
    wrong_value(key, "is " + number_text(read) + "; it must be from " + number_text(least) +
                         " to " + number_text(most));
    return false;
  }
  out = read;
  return true;
}

bool Fields::string(const char* key, size_t most_bytes, std::string& out) {
  const Json* value = find(key);
  if (value == nullptr) return false;
  if (!value->is_string()) {
    wrong_type(key, *value, "a string");
    return false;
  }
  const auto& text = value->get_ref<const std::string&>();
  if (text.size() > most_bytes) {
    wrong_value(key, "has " + std::to_string(text.size()) + " bytes; the limit is " +
                         std::to_string(most_bytes));
    return false;
  }
  out = text;
  return true;
}

void Fields::fail(const char* code, const std::string& key, const std::string& message) {
  if (error_) return;
  error_ = LineError{400, code, "'" + where_ + key + "' " + message, where_ + key, true};
}

void Fields::wrong_type(const std::string& key, const Json& value, const std::string& expected) {
  fail("invalid_type", key, "is " + shown(value) + "; " + expected + " is expected");
}

void Fields::wrong_value(const std::string& key, const std::string& message) {
  fail("invalid_value", key, message);
}

void Fields::unsupported(const std::string& key, const std::string& hint) {
  fail("unsupported_parameter", key, "is not supported; " + hint);
}

void Fields::refuse_unknown() {
  for (const auto& [key, value] : object_.items()) {
    if (known_.count(key) != 0) continue;
    const std::string name = key.size() > 60 ? std::string("(a long name)") : key;
    fail("unknown_parameter", name, "is not a field that sluice knows; remove it or correct it");
    return;
  }
}

}  // namespace sluice::batch
