// Moves of 32 bytes, with AVX2.

SLUICE_INLINE __m256i load_words(const std::byte* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
SLUICE_INLINE void copy_span(const std::byte* from, std::byte* to) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), load_words(from));
}
SLUICE_INLINE void copy_eight(const std::byte* from, float* to) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), load_words(from));
}
// to = start + factor * from
SLUICE_INLINE void multiply_eight(const std::byte* from, int32_t factor, int32_t start,
                                  int32_t* to) {
  const __m256i product = _mm256_mullo_epi32(load_words(from), _mm256_set1_epi32(factor));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                      _mm256_add_epi32(_mm256_set1_epi32(start), product));
}
