// What a batch needs of a model's text side.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "batch/line.h"

namespace sluice::engine {
class Engine;
}

namespace sluice::batch {

class ModelText {
 public:
  virtual ~ModelText() = default;

  // A chat's messages through the template, as ids. Errors are the line's.
  virtual Result<std::vector<int32_t>> render(const BatchLine& line) const = 0;
  virtual Result<std::vector<int32_t>> encode(std::string_view text,
                                              bool add_special_tokens) const = 0;
  virtual Result<std::string> decode(std::span<const int32_t> ids,
                                     bool skip_special_tokens) const = 0;
  // The bytes a token stands for; not always whole characters.
  virtual std::string token_bytes(int32_t id) const = 0;
  virtual bool is_special(int32_t id) const = 0;
};

}  // namespace sluice::batch
