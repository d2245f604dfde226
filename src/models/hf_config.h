// Reads a Hugging Face config.json field by field and remembers what was read, so that a field
// nobody understood, and which might change the result, is refused by name.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"

namespace sluice::models {

// Getters record the first error and return a harmless value; finish() reports it. So a family's
// file reads as a list of its fields.
class HfConfig {
 public:
  // `json` must outlive the reader.
  explicit HfConfig(const Json& json, std::string where = "config.json");

  // Required: absent or null is an error.
  int64_t size(const char* key, int64_t most = int64_t{1} << 24);  // at least 1
  // The family's documented value stands for an absent field; a null counts as absent.
  int64_t size_or(const char* key, int64_t fallback, int64_t most = int64_t{1} << 24);
  double real_or(const char* key, double fallback);  // finite and positive
  bool flag_or(const char* key, bool fallback);
  std::string text_or(const char* key, const std::string& fallback);
  std::optional<double> optional_real(const char* key);
  std::optional<int64_t> optional_size(const char* key);
  std::vector<int64_t> sizes(const char* key);      // absent or null: empty; elements at least 0
  std::vector<int32_t> token_ids(const char* key);  // a number, a list, or nothing
  const Json* object(const char* key);              // absent, null or empty: nullptr

  bool has(const char* key) const;
  void ignore(std::initializer_list<const char*> keys);  // known to leave the result as it is
  void fail(Error error);                                // keeps the first

  // The first error; else an error that names the fields nobody read.
  Status finish();
  const std::string& where() const { return where_; }

 private:
  const Json* find(const char* key);
  int64_t whole(const char* key, int64_t least, int64_t most, std::optional<int64_t> fallback);

  const Json& json_;
  std::string where_;
  std::set<std::string> read_;
  std::optional<Error> error_;
};

}  // namespace sluice::models
