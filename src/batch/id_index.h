// Which custom_ids are answered and which were seen: an open-addressed table of 8-byte entries in a
// nameless file, twice as many as there are lines, so 16 bytes a line at most. An entry keeps a
// part of the id's hash and where the line lies that has the id; two ids are the same only when the
// lines say so.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "batch/file.h"

namespace sluice::batch {

class IdIndex {
 public:
  enum class Where : uint8_t { kInput, kOutput };
  enum class Found : uint8_t {
    kNew,       // not seen before; now it is
    kAnswered,  // the output has it; from now on it counts as seen in the input
    kRepeated,  // an earlier line of the input has it
  };
  // The custom_id of the line at `offset` of the input or the output.
  using ReadId = std::function<Result<std::string>(Where where, int64_t offset)>;

  // Room for `lines` distinct ids. The file lies in the directory of `beside`, and its blocks are
  // taken at once. kNoRoom when the disk is too full.
  static Result<IdIndex> create(int64_t lines, const std::string& beside, ReadId read_id);
  IdIndex(IdIndex&& other) noexcept;
  IdIndex& operator=(IdIndex&&) = delete;
  ~IdIndex();

  // An id that the output has. False when it was there already: the output has it twice.
  Result<bool> add_answered(std::string_view custom_id, int64_t output_offset);
  // An id of the input, at `input_offset`. `first_offset`: of the earlier line, if kRepeated.
  Result<Found> add_line(std::string_view custom_id, int64_t input_offset, int64_t& first_offset);
  // Whether the output has `custom_id`; changes nothing.
  Result<bool> is_answered(std::string_view custom_id);

  int64_t bytes() const { return slots_ * int64_t{8}; }

 private:
  IdIndex() = default;
  // The slot of `custom_id`, or the empty one where it belongs.
  Result<int64_t> locate(std::string_view custom_id, uint64_t& tag);

  File file_;
  uint64_t* table_ = nullptr;
  int64_t slots_ = 0;
  ReadId read_id_;
};

}  // namespace sluice::batch
