// Activations as the products with block formats read them: 8-bit codes in spans of 32 values of K,
// each with a scale of its own. Quantized once per token, however many matrices and experts take
// it. Free of code: every ISA's translation unit includes it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::kernels {

// Of one span. A sum counts codes and is exact; a scaled sum is scale * sum, rounded once.
struct SpanScale {
  float scale;  // x is about scale * code, |code| <= 127; NaN if the span holds one, or an infinity
  float sum;
  float scaled_sum;
  float half_sum[2];  // of the span's first and last 16 values
  float half_scaled_sum[2];
  float unused;
};

// A row of `cols` values (whole spans) is
//   s8 [cols]                       the codes
//   SpanScale [cols / 32]
//   s16 [cols / 4][0, 2, 1, 3]      the codes again, even places of every four before the odd ones,
//                                   for ISAs that multiply 16-bit pairs
struct QuantizedRows {
  std::byte* data = nullptr;
  int64_t cols = 0;

  static constexpr int64_t row_bytes(int64_t row_cols) { return 4 * row_cols; }
  constexpr QuantizedRows from(int64_t row) const { return {data + row * row_bytes(cols), cols}; }
};

}  // namespace sluice::kernels
