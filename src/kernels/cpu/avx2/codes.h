// Registers of bytes: a step of a panel (16 rows x 4 codes) in two of AVX2's.

constexpr int kCodeRegisters = 2;
using CodeRegister = __m256i;

SLUICE_INLINE CodeRegister load_codes(const std::byte* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
SLUICE_INLINE void store_codes(CodeRegister a, std::byte* to) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), a);
}
SLUICE_INLINE CodeRegister repeat8(int8_t a) { return _mm256_set1_epi8(a); }
SLUICE_INLINE CodeRegister repeat16(int16_t a) { return _mm256_set1_epi16(a); }
SLUICE_INLINE CodeRegister repeat32(int32_t a) { return _mm256_set1_epi32(a); }
SLUICE_INLINE CodeRegister repeat_table(const int8_t* table) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
}
SLUICE_INLINE CodeRegister both(CodeRegister a, CodeRegister b) { return _mm256_and_si256(a, b); }
SLUICE_INLINE CodeRegister either(CodeRegister a, CodeRegister b) { return _mm256_or_si256(a, b); }
template <int kBits>
SLUICE_INLINE CodeRegister right16(CodeRegister a) {
  return _mm256_srli_epi16(a, kBits);
}
template <int kBits>
SLUICE_INLINE CodeRegister left16(CodeRegister a) {
  return _mm256_slli_epi16(a, kBits);
}
SLUICE_INLINE CodeRegister look_up(CodeRegister table, CodeRegister codes) {
  return _mm256_shuffle_epi8(table, codes);
}
SLUICE_INLINE CodeRegister add16(CodeRegister a, CodeRegister b) { return _mm256_add_epi16(a, b); }
SLUICE_INLINE CodeRegister add32(CodeRegister a, CodeRegister b) { return _mm256_add_epi32(a, b); }
// Pairs of u8 times s8, summed into s16.
SLUICE_INLINE CodeRegister multiply_bytes(CodeRegister u8, CodeRegister s8) {
  return _mm256_maddubs_epi16(u8, s8);
}
// Pairs of s16 times s16, summed into s32.
SLUICE_INLINE CodeRegister multiply_halves(CodeRegister a, CodeRegister b) {
  return _mm256_madd_epi16(a, b);
}
// The same bits.
SLUICE_INLINE F16 as_floats(const CodeRegister (&a)[kCodeRegisters]) {
  F16 r;
  for (int i = 0; i < kCodeRegisters; ++i) r.v[i].raw = _mm256_castsi256_ps(a[i]);
  return r;
}
