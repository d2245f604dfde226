// One iteration of one micro-batch, as the stages see it: rows of tokens, grouped by sequence.
#pragma once

#include <cstdint>
#include <span>

namespace sluice::models {

// A sequence's rows stand together and at rising positions.
struct SequenceRows {
  int64_t first_row = 0;
  int64_t rows = 0;
  int64_t first_position = 0;
  int64_t prompt_tokens = 0;        // of the original request: dynamic rope depends on it
  const int32_t* blocks = nullptr;  // block table: position p lies in blocks[p / block_tokens]
};

// Views into a micro-batch's own arrays; valid until it is formed again.
struct BatchView {
  std::span<const int32_t> token_ids;  // [rows]
  std::span<const int32_t> positions;  // [rows]
  std::span<const int64_t>
      kv_slots;  // [rows]: block * block_tokens + offset, where each row's key goes
  std::span<const SequenceRows> sequences;
  std::span<const int32_t> logit_rows;  // rows that go through the head, rising

  int64_t rows() const { return static_cast<int64_t>(token_ids.size()); }
};

}  // namespace sluice::models
