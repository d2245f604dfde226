// A request body read field by field. The first complaint is kept and silences the rest; a field
// that nobody has asked for by the end is unknown, and refused by name.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "base/json.h"
#include "batch/line.h"

namespace sluice::batch {

class Fields {
 public:
  // `where` stands before the names of fields in errors: "" or "response_format.".
  explicit Fields(const Json& object, std::string where = "");

  // The field, now known; null when it is absent or JSON's null.
  const Json* find(const char* key);
  bool has(const char* key) { return find(key) != nullptr; }

  // Each leaves `out` as it is when the field is absent, and returns whether it was there.
  bool boolean(const char* key, bool& out);
  bool whole(const char* key, int64_t least, int64_t most, int64_t& out);
  bool number(const char* key, double least, double most, double& out);
  bool string(const char* key, size_t most_bytes, std::string& out);

  // Complaints. `key` is named with `where` before it.
  void fail(const char* code, const std::string& key, const std::string& message);
  void wrong_type(const std::string& key, const Json& value, const std::string& expected);
  void wrong_value(const std::string& key, const std::string& message);
  void unsupported(const std::string& key, const std::string& hint);
  void adopt(LineError error) {
    if (!error_) error_ = std::move(error);
  }
  void take_error(const Fields& inner) {
    if (inner.error_) adopt(*inner.error_);
  }

  // Complains of the first field that was not asked for.
  void refuse_unknown();

  bool ok() const { return !error_; }
  const std::optional<LineError>& error() const { return error_; }

 private:
  const Json& object_;
  std::string where_;
  std::set<std::string> known_;
  std::optional<LineError> error_;
};

// What a body says about sampling; `is_chat` decides how `logprobs` reads.
void read_sampling(Fields& fields, BatchLine& line);
// response_format, structured_outputs and their older spellings.
void read_guide(Fields& fields, BatchLine& line);
// messages and what shapes the template, or prompt and echo.
void read_messages(Fields& fields, BatchLine& line);
void read_prompts(Fields& fields, BatchLine& line);
// Fields without effect on the answer are passed over; known ones that would have one are refused
// with a hint.
void read_other(Fields& fields);

// A short rendering of a value for an error's sentence.
std::string shown(const Json& value);

}  // namespace sluice::batch
