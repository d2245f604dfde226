// acc[t][p] += one span of 32 values of K, for T tokens and P panels at once, over an ISA's
// dot_span().

// What the inner loop needs to know of a format once its codes are bytes.
template <int kMaxCode_, int kOffset_, int kGroup_, bool kHasMin_>
struct Kind {
  static constexpr int kMaxCode = kMaxCode_;
  static constexpr int kOffset = kOffset_;
  static constexpr int kGroup = kGroup_;
  static constexpr bool kHasMin = kHasMin_;
  static constexpr int kHalves = kSpan / kGroup;
  static constexpr int kSteps = kSpanSteps / kHalves;  // of a group
};
template <int kDType>
using KindOf = Kind<Format<kDType>::kMaxCode, Format<kDType>::kOffset, Format<kDType>::kGroup,
                    Format<kDType>::kHasMin>;

// Where a row keeps what belongs to a group.
template <class K>
constexpr QuantizedRows::Field field_of_sum() {
  return K::kHalves == 1 ? QuantizedRows::kSum : QuantizedRows::kHalfSum;
}
template <class K>
constexpr QuantizedRows::Field field_of_scaled_sum() {
  return K::kHalves == 1 ? QuantizedRows::kScaledSum : QuantizedRows::kScaledHalfSum;
}

// Sums of whole numbers become floats without a conversion: they begin with the bits of kBias,
// whose last place is one, so the bits of kBias + n are those of that float as long as |n| < 2^22.
// A group of 32 comes to 32 * 255 * 127 at most.
constexpr float kBias = 0x1.8p23f;
constexpr int32_t kBiasBits = __builtin_bit_cast(int32_t, kBias);

// Weights and tokens come from slabs (block_slab_tile.h). Weights say codes(Constant<step>()),
// scale(half) and min(half) of the span's groups. Tokens say codes(t) and pairs(t) of the span,
// start<K>(t, half), the bits which the sum of the products begins with, scale(t) and
// minus_scaled_sum<K>(t, half).
template <class K, int T, int P, class Weights, class Tokens>
SLUICE_INLINE void add_span(const Weights (&weights)[P], const Tokens& tokens, F16 (&acc)[T][P]) {
  for_constants<0, K::kHalves>([&]<int kHalf>(Constant<kHalf>) SLUICE_LAMBDA_INLINE {
    F16 biased[T][P];
    dot_span<K, kHalf, T, P>(weights, tokens, biased);
    // (kBias + n) * scale - kBias * scale is n * scale rounded once: scales have at most 19
    // significant bits, so that 3 * 2^22 of them are exact, and finite up to scales of 2^104.
    F16 scale[P], bias[P];
    SLUICE_UNROLL for (int p = 0; p < P; ++p) {
      scale[p] = weights[p].scale(kHalf);
      bias[p] = mul(scale[p], set(-kBias));
    }
    SLUICE_UNROLL for (int t = 0; t < T; ++t) {
      const F16 of_token = set(tokens.scale(t));
      SLUICE_UNROLL for (int p = 0; p < P; ++p) {
        acc[t][p] = fma(fma(biased[t][p], scale[p], bias[p]), of_token, acc[t][p]);
      }
    }
    if constexpr (K::kHasMin) {
      F16 min[P];
      SLUICE_UNROLL for (int p = 0; p < P; ++p) min[p] = weights[p].min(kHalf);
      SLUICE_UNROLL for (int t = 0; t < T; ++t) {
        const F16 of_token = set(tokens.template minus_scaled_sum<K>(t, kHalf));
        SLUICE_UNROLL for (int p = 0; p < P; ++p) acc[t][p] = fma(of_token, min[p], acc[t][p]);
      }
    }
  });
}
