// Activations as the products with block formats read them: 8-bit codes in spans of 32 values of K,
// each with a scale of its own. Quantized once per token, however many matrices and experts take
// it. Free of code: every ISA's translation unit includes it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::kernels {

// A row of `cols` values, n = cols / 32 whole spans, is
//   s8 [cols]                codes: x is about scale * code, |code| <= 127
//   f32 [n]                  scales; NaN if the span holds one, or an infinity
//   s32 [n], s32 [n][2]      sums of the codes of each span, and of its halves of 16
//   f32 [n], f32 [n][2]      -scale * those sums, rounded once
//   [n]                      unused words
//   s16 [cols / 4][0, 2, 1, 3]  the codes again, even places of every four before the odd ones, for
//                               ISAs that multiply 16-bit pairs
//   64 bytes                 unused: rows a power of two apart would share a few sets of the caches
struct QuantizedRows {
  std::byte* data = nullptr;
  int64_t cols = 0;

  // Where the fields of all spans begin, in words per span behind the codes.
  enum Field : int64_t { kScale = 0, kSum = 1, kHalfSum = 2, kScaledSum = 4, kScaledHalfSum = 5 };
  static constexpr int64_t field_at(int64_t row_cols, Field field) {
    return row_cols + field * (row_cols / 32 * 4);
  }
  static constexpr int64_t pairs_at(int64_t row_cols) { return 2 * row_cols; }
  static constexpr int64_t row_bytes(int64_t row_cols) { return 4 * row_cols + 64; }
  constexpr QuantizedRows from(int64_t row) const { return {data + row * row_bytes(cols), cols}; }
};

}  // namespace sluice::kernels
