// A span's scale from its largest magnitude, and the words of a row that say what its spans are
// (quantized_rows.h). Include inside the namespace of an ISA.

struct SpanFactors {
  float scale;
  float inverse;  // 0: all codes are 0
};

// Below this a scale's inverse would overflow; such values are taken for zero.
constexpr float kSmallestMagnitude = 0x1p-100f;

SLUICE_INLINE SpanFactors span_factors(int32_t largest_bits) {
  if (largest_bits >= 0x7f800000) return {__builtin_nanf(""), 0.0f};
  const float largest = __builtin_bit_cast(float, largest_bits);
  if (largest < kSmallestMagnitude) return {0.0f, 0.0f};
  return {largest / 127.0f, 127.0f / largest};
}

// Word `index` of a field of the row.
template <class Word>
SLUICE_INLINE Word row_word(const std::byte* row, int64_t cols, QuantizedRows::Field field,
                            int64_t index) {
  Word word;
  __builtin_memcpy(&word, row + QuantizedRows::field_at(cols, field) + index * 4, sizeof word);
  return word;
}
template <class Word>
SLUICE_INLINE void set_row_word(std::byte* row, int64_t cols, QuantizedRows::Field field,
                                int64_t index, Word word) {
  __builtin_memcpy(row + QuantizedRows::field_at(cols, field) + index * 4, &word, sizeof word);
}

SLUICE_INLINE void fill_span(float scale, int32_t first_half, int32_t last_half, std::byte* row,
                             int64_t cols, int64_t span) {
  using Rows = QuantizedRows;
  const int32_t sum = first_half + last_half;
  set_row_word(row, cols, Rows::kScale, span, scale);
  set_row_word(row, cols, Rows::kSum, span, sum);
  set_row_word(row, cols, Rows::kHalfSum, span * 2, first_half);
  set_row_word(row, cols, Rows::kHalfSum, span * 2 + 1, last_half);
  set_row_word(row, cols, Rows::kScaledSum, span, -(scale * static_cast<float>(sum)));
  set_row_word(row, cols, Rows::kScaledHalfSum, span * 2,
               -(scale * static_cast<float>(first_half)));
  set_row_word(row, cols, Rows::kScaledHalfSum, span * 2 + 1,
               -(scale * static_cast<float>(last_half)));
}

SLUICE_INLINE int32_t load_s32(const std::byte* from) {
  int32_t value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}
