// A row of activations into 8-bit codes (quantized_rows.h), a span at a time, with AVX2.

struct SpanFloats {
  __m256 v[4];
};

// The largest magnitude's bits: as whole numbers they order as the magnitudes do, NaN above all.
SLUICE_INLINE int32_t largest_bits(const SpanFloats& x) {
  const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
  __m256i top = _mm256_and_si256(_mm256_castps_si256(x.v[0]), magnitude);
  SLUICE_UNROLL for (int i = 1; i < 4; ++i) {
    top = _mm256_max_epi32(top, _mm256_and_si256(_mm256_castps_si256(x.v[i]), magnitude));
  }
  __m128i half = _mm_max_epi32(_mm256_castsi256_si128(top), _mm256_extracti128_si256(top, 1));
  half = _mm_max_epi32(half, _mm_shuffle_epi32(half, 0x4e));
  half = _mm_max_epi32(half, _mm_shuffle_epi32(half, 0xb1));
  return _mm_cvtsi128_si32(half);
}

SLUICE_INLINE int32_t sum_of_halves(__m256i codes16) {
  const __m256i pairs = _mm256_madd_epi16(codes16, _mm256_set1_epi16(1));
  __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
  return _mm_cvtsi128_si32(sum);
}

SLUICE_INLINE void quantize_span(const SpanFloats& x, std::byte* row, int64_t cols, int64_t k) {
  std::byte* const codes = row + k;
  std::byte* const pairs = row + QuantizedRows::pairs_at(cols) + 2 * k;
  const SpanFactors factors = span_factors(largest_bits(x));
  __m256i q[4];
  SLUICE_UNROLL for (int i = 0; i < 4; ++i) {
    // A factor of 0 would make NaN of infinities.
    q[i] = factors.inverse == 0.0f
               ? _mm256_setzero_si256()
               : _mm256_cvtps_epi32(_mm256_mul_ps(x.v[i], _mm256_set1_ps(factors.inverse)));
  }
  // Packing works on halves of a register; the permutation puts the values back in order.
  const __m256i first = _mm256_permute4x64_epi64(_mm256_packs_epi32(q[0], q[1]), 0xd8);
  const __m256i last = _mm256_permute4x64_epi64(_mm256_packs_epi32(q[2], q[3]), 0xd8);
  const __m256i bytes = _mm256_permute4x64_epi64(_mm256_packs_epi16(first, last), 0xd8);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(codes), bytes);
  const __m256i even_odd = _mm256_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15, 0,
                                            1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(pairs), _mm256_shuffle_epi8(first, even_odd));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(pairs + 32), _mm256_shuffle_epi8(last, even_odd));
  fill_span(factors.scale, sum_of_halves(first), sum_of_halves(last), row, cols, k / kSpan);
}

void quantize_row(const float* x, int64_t cols, std::byte* row) {
  for (int64_t k = 0; k < cols; k += kSpan) {
    SpanFloats span;
    SLUICE_UNROLL for (int i = 0; i < 4; ++i) span.v[i] = _mm256_loadu_ps(x + k + i * 8);
    quantize_span(span, row, cols, k);
  }
}
