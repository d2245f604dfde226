// Registers of bytes: a step of a panel (16 rows x 4 codes) fills one.

constexpr int kCodeRegisters = 1;
using CodeRegister = __m512i;

SLUICE_INLINE CodeRegister load_codes(const std::byte* from) { return _mm512_loadu_si512(from); }
SLUICE_INLINE void store_codes(CodeRegister a, std::byte* to) { _mm512_storeu_si512(to, a); }
SLUICE_INLINE CodeRegister repeat8(int8_t a) { return _mm512_set1_epi8(a); }
SLUICE_INLINE CodeRegister repeat16(int16_t a) { return _mm512_set1_epi16(a); }
SLUICE_INLINE CodeRegister repeat32(int32_t a) { return _mm512_set1_epi32(a); }
SLUICE_INLINE CodeRegister repeat_table(const int8_t* table) {
  return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
}
SLUICE_INLINE CodeRegister both(CodeRegister a, CodeRegister b) { return _mm512_and_si512(a, b); }
SLUICE_INLINE CodeRegister either(CodeRegister a, CodeRegister b) { return _mm512_or_si512(a, b); }
template <int kBits>
SLUICE_INLINE CodeRegister right16(CodeRegister a) {
  return _mm512_srli_epi16(a, kBits);
}
template <int kBits>
SLUICE_INLINE CodeRegister left16(CodeRegister a) {
  return _mm512_slli_epi16(a, kBits);
}
SLUICE_INLINE CodeRegister look_up(CodeRegister table, CodeRegister codes) {
  return _mm512_shuffle_epi8(table, codes);
}
SLUICE_INLINE CodeRegister add16(CodeRegister a, CodeRegister b) { return _mm512_add_epi16(a, b); }
SLUICE_INLINE CodeRegister add32(CodeRegister a, CodeRegister b) { return _mm512_add_epi32(a, b); }
// Pairs of u8 times s8, summed into s16.
SLUICE_INLINE CodeRegister multiply_bytes(CodeRegister u8, CodeRegister s8) {
  return _mm512_maddubs_epi16(u8, s8);
}
// Pairs of s16 times s16, summed into s32.
SLUICE_INLINE CodeRegister multiply_halves(CodeRegister a, CodeRegister b) {
  return _mm512_madd_epi16(a, b);
}
SLUICE_INLINE F16 to_floats(const CodeRegister (&a)[kCodeRegisters]) {
  F16 r;
  for (int i = 0; i < kCodeRegisters; ++i) r.v[i].raw = _mm512_cvtepi32_ps(a[i]);
  return r;
}
// The same bits.
SLUICE_INLINE F16 as_floats(const CodeRegister (&a)[kCodeRegisters]) {
  F16 r;
  for (int i = 0; i < kCodeRegisters; ++i) r.v[i].raw = _mm512_castsi512_ps(a[i]);
  return r;
}
