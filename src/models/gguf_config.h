// Reads the keys of a GGUF file that describe its model, and remembers which were read, so that a
// key nobody understood, and which might change the result, is refused by name.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "weights/checkpoint.h"

namespace sluice::models {

// Tensors of a GGUF file that lie elsewhere now: dims by name, outermost first.
using GgufShapes = std::map<std::string, std::vector<int64_t>, std::less<>>;

// Keys are named without the architecture that they begin with: "block_count" is
// "llama.block_count". Getters record the first error and return a harmless value; finish() reports
// it. A value that a file may state for each layer must be the same for all.
class GgufConfig {
 public:
  // `checkpoint` is a GGUF file; both it and what lies elsewhere outlive the reader.
  GgufConfig(const weights::Checkpoint& checkpoint, const GgufShapes& elsewhere,
             std::string architecture);

  int64_t size(const char* key, int64_t most = int64_t{1} << 24);  // required; at least 1
  // Absent or zero: nothing.
  std::optional<int64_t> optional_size(const char* key, int64_t most = int64_t{1} << 40);
  double real(const char* key);                          // required; finite and positive
  std::optional<double> optional_real(const char* key);  // finite
  std::optional<bool> optional_flag(const char* key);
  std::string text_or(const char* key, const std::string& fallback);
  // Absent, or this value and no other.
  void only_whole(const char* key, std::initializer_list<int64_t> allowed);
  void only_real(const char* key, std::initializer_list<double> allowed);

  void ignore(std::initializer_list<const char*> keys);   // known to leave the result as it is
  void fail(ErrorCode code, const std::string& message);  // keeps the first
  std::string quoted(const char* key) const;              // "'llama.block_count'", for errors

  // Null: there is no such tensor.
  const std::vector<int64_t>* dims_of(std::string_view name) const;
  bool has_tensor(std::string_view name) const { return dims_of(name) != nullptr; }
  const weights::Checkpoint& checkpoint() const { return checkpoint_; }
  const weights::GgufMetadata& metadata() const { return *checkpoint_.gguf(); }
  const std::string& architecture() const { return architecture_; }

  // The first error; else an error that names the architecture's keys that nobody read.
  Status finish();

 private:
  const weights::GgufValue* find(const char* key);
  std::optional<int64_t> whole(const char* key, int64_t least, int64_t most);

  const weights::Checkpoint& checkpoint_;
  const GgufShapes& elsewhere_;
  std::string architecture_;
  std::set<std::string, std::less<>> read_;
  std::optional<Error> error_;
};

}  // namespace sluice::models
