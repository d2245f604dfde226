// Sixteen floats as the inner loops see them, one at a time. The same names, and the same bits, as
// lanes_highway.h. Include inside the namespace of an ISA.

struct F16 {
  float v[16];
};

#define SLUICE_LANES(expression)                    \
  F16 r;                                            \
  for (int i = 0; i < 16; ++i) r.v[i] = expression; \
  return r

inline F16 set(float value) { SLUICE_LANES(value); }
inline F16 zero() { return set(0.0f); }
inline F16 load(const float* from) { SLUICE_LANES(from[i]); }
inline void store(const F16& a, float* to) {
  for (int i = 0; i < 16; ++i) to[i] = a.v[i];
}

// std::fma is the hardware's where libm finds it, and correctly rounded everywhere.
inline F16 fma(const F16& a, const F16& b, const F16& c) {
  SLUICE_LANES(__builtin_fmaf(a.v[i], b.v[i], c.v[i]));
}
inline F16 add(const F16& a, const F16& b) { SLUICE_LANES(a.v[i] + b.v[i]); }
inline F16 sub(const F16& a, const F16& b) { SLUICE_LANES(a.v[i] - b.v[i]); }
inline F16 mul(const F16& a, const F16& b) { SLUICE_LANES(a.v[i] * b.v[i]); }
inline F16 div(const F16& a, const F16& b) { SLUICE_LANES(a.v[i] / b.v[i]); }
// b where either is NaN, as x86 does.
inline F16 max(const F16& a, const F16& b) { SLUICE_LANES(a.v[i] > b.v[i] ? a.v[i] : b.v[i]); }
inline F16 min(const F16& a, const F16& b) { SLUICE_LANES(a.v[i] < b.v[i] ? a.v[i] : b.v[i]); }

// The largest lane; which of equals, or of NaN, is not said.
inline float max_of_lanes(const F16& a) {
  float top = a.v[0];
  for (int i = 1; i < 16; ++i) top = a.v[i] > top ? a.v[i] : top;
  return top;
}

// 2^n of whole n in [-126, 127]; any number where n is none.
inline F16 power_of_two(const F16& n) {
  SLUICE_LANES(__builtin_bit_cast(
      float, ((n.v[i] == n.v[i] ? static_cast<int32_t>(n.v[i]) : 0) + 127) << 23));
}
// 0 where x < limit, else y.
inline F16 zero_below(const F16& x, float limit, const F16& y) {
  SLUICE_LANES(x.v[i] < limit ? 0.0f : y.v[i]);
}
// The first n lanes of a, `other` in the rest.
inline F16 keep_first(const F16& a, int64_t n, float other) {
  SLUICE_LANES(i < n ? a.v[i] : other);
}

// Weights of one group of K, widened exactly.
inline F16 load_bf16_even(const std::byte* from) {
  const auto* pairs = reinterpret_cast<const uint32_t*>(from);
  SLUICE_LANES(__builtin_bit_cast(float, pairs[i] << 16));
}
inline F16 load_bf16_odd(const std::byte* from) {
  const auto* pairs = reinterpret_cast<const uint32_t*>(from);
  SLUICE_LANES(__builtin_bit_cast(float, pairs[i] & 0xffff0000u));
}
// The nearest bf16, halves to even; what is below the smallest normal float becomes 0.
inline float nearest_bf16(float value) {
  const auto bits = __builtin_bit_cast(uint32_t, value);
  const uint32_t size = bits & 0x7fffffffu;
  if (size < 0x00800000u) return __builtin_bit_cast(float, bits & 0x80000000u);
  const uint32_t near = size > 0x7f800000u ? bits | 0x400000u : bits + 0x7fffu + ((bits >> 16) & 1);
  return __builtin_bit_cast(float, near & 0xffff0000u);
}
inline F16 round_to_bf16(const F16& a) { SLUICE_LANES(nearest_bf16(a.v[i])); }
inline F16 load_bf16(const std::byte* from) {
  const auto* bits = reinterpret_cast<const uint16_t*>(from);
  SLUICE_LANES(__builtin_bit_cast(float, static_cast<uint32_t>(bits[i]) << 16));
}
inline float half_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t exponent = (half >> 10) & 0x1fu;
  const uint32_t mantissa = half & 0x3ffu;
  if (exponent == 0x1fu) {
    const uint32_t quiet = mantissa != 0 ? 0x400000u : 0u;  // as the conversion instruction does
    return __builtin_bit_cast(float, sign | 0x7f800000u | quiet | (mantissa << 13));
  }
  if (exponent != 0) {
    return __builtin_bit_cast(float, sign | ((exponent + 112u) << 23) | (mantissa << 13));
  }
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
  return __builtin_bit_cast(float, sign | __builtin_bit_cast(uint32_t, magnitude));
}
inline F16 load_half(const std::byte* from) {
  const auto* halves = reinterpret_cast<const uint16_t*>(from);
  SLUICE_LANES(half_to_float(halves[i]));
}

// Whole numbers of eight bits as floats.
inline F16 load_u8(const std::byte* from) { SLUICE_LANES(static_cast<float>(from[i])); }
inline F16 load_s8(const std::byte* from) {
  SLUICE_LANES(static_cast<float>(static_cast<int8_t>(from[i])));
}
inline F16 load_low_nibbles(const std::byte* from) {
  SLUICE_LANES(static_cast<float>(from[i] & std::byte{15}));
}
inline F16 load_high_nibbles(const std::byte* from) {
  SLUICE_LANES(static_cast<float>(from[i] >> 4));
}
// 2^(e - 128) of exponent bytes: a bit further down the mantissa below the normal floats.
inline float e8m0_half(uint32_t e) {
  return __builtin_bit_cast(float, e < 2 ? 0x00200000u << e : (e - 1) << 23);
}
inline F16 load_e8m0_half(const std::byte* from) {
  SLUICE_LANES(e8m0_half(static_cast<uint32_t>(from[i])));
}

#undef SLUICE_LANES
