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

// Weights and tokens come from slabs (block_slab_tile.h). Weights say codes(Constant<step>()),
// scale(half) and min(half) of the span's groups. Tokens say codes(t) and pairs(t) of the span,
// start<K>(t, half), which the sum of the products begins with, scale(t) and minus_scaled_sum<K>(t,
// half).
template <class K, int T, int P, class Weights, class Tokens>
SLUICE_INLINE void add_span(const Weights (&weights)[P], const Tokens& tokens, F16 (&acc)[T][P]) {
  for_constants<0, K::kHalves>([&]<int kHalf>(Constant<kHalf>) SLUICE_LAMBDA_INLINE {
    F16 sums[T][P];
    dot_span<K, kHalf, T, P>(weights, tokens, sums);
    F16 scale[P];
    SLUICE_UNROLL for (int p = 0; p < P; ++p) scale[p] = weights[p].scale(kHalf);
    SLUICE_UNROLL for (int t = 0; t < T; ++t) {
      const F16 of_token = set(tokens.scale(t));
      SLUICE_UNROLL for (int p = 0; p < P; ++p) {
        acc[t][p] = fma(mul(sums[t][p], scale[p]), of_token, acc[t][p]);
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
