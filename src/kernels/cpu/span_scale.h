// A span's scale from its largest magnitude, and what its SpanScale says. Include inside the
// namespace of an ISA.

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

SLUICE_INLINE void fill_span(float scale, int32_t first_half, int32_t last_half, SpanScale* span) {
  span->scale = scale;
  span->sum = static_cast<float>(first_half + last_half);
  span->scaled_sum = scale * span->sum;
  span->half_sum[0] = static_cast<float>(first_half);
  span->half_sum[1] = static_cast<float>(last_half);
  span->half_scaled_sum[0] = scale * span->half_sum[0];
  span->half_scaled_sum[1] = scale * span->half_sum[1];
  span->unused = 0.0f;
}

SLUICE_INLINE int32_t load_s32(const std::byte* from) {
  int32_t value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}
