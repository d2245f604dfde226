// Codes in slabs are signed, their offset taken off.
constexpr bool kSlabKeepsOffset = false;
template <class K>
SLUICE_INLINE CodeRegister slab_codes(CodeRegister codes) {
  if constexpr (K::kOffset == 0) return codes;
  return _mm512_sub_epi8(codes, repeat8(static_cast<int8_t>(K::kOffset)));
}
