// Slabs hold codes as they are stored; a sum begins with -offset * sum of the activations.
constexpr bool kSlabKeepsOffset = true;
template <class K>
SLUICE_INLINE CodeRegister slab_codes(CodeRegister codes) {
  return codes;
}
