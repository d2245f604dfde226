// Sums of codes times activations by VNNI's dot product of four bytes. Exact: whole numbers, and
// nothing overflows.

constexpr int kCodeBytes = 1;
template <class K>
constexpr bool kWantsPairs = false;

// Sums, accumulators, weights, their scales and one activation fill 32 registers.
constexpr int kTilePanels = 2;
constexpr int slab_tokens(int) { return 6; }
constexpr int stored_tokens(int) { return 8; }
constexpr int panel_pair_tokens(bool) { return 0; }

// out[t][p] = the float whose bits are the start and the products of the span's half `kHalf`. Even
// and odd steps are summed apart where few sums keep the unit waiting for its own result.
template <class K, int kHalf, int T, int P, class Weights, class Tokens>
SLUICE_INLINE void dot_span(const Weights (&weights)[P], const Tokens& tokens, F16 (&out)[T][P]) {
  constexpr int kChains = T * P <= 4 ? 2 : 1;
  CodeRegister sums[T][P][kChains];
  SLUICE_UNROLL for (int t = 0; t < T; ++t) {
    const CodeRegister start = repeat32(tokens.template start<K>(t, kHalf));
    SLUICE_UNROLL for (int p = 0; p < P; ++p) {
      sums[t][p][0] = start;
      if constexpr (kChains == 2) sums[t][p][1] = _mm512_setzero_si512();
    }
  }
  for_constants<kHalf * K::kSteps, (kHalf + 1) * K::kSteps>(
      [&]<int kStep>(Constant<kStep> step) SLUICE_LAMBDA_INLINE {
        Codes w[P];
        SLUICE_UNROLL for (int p = 0; p < P; ++p) w[p] = weights[p].codes(step);
        SLUICE_UNROLL for (int t = 0; t < T; ++t) {
          const CodeRegister x = repeat32(load_s32(tokens.codes(t) + kStep * 4));
          SLUICE_UNROLL for (int p = 0; p < P; ++p) {
            CodeRegister& sum = sums[t][p][kStep % kChains];
            sum = _mm512_dpbusd_epi32(sum, w[p].v[0], x);
          }
        }
      });
  SLUICE_UNROLL for (int t = 0; t < T; ++t) {
    SLUICE_UNROLL for (int p = 0; p < P; ++p) {
      CodeRegister total[1] = {sums[t][p][0]};
      if constexpr (kChains == 2) total[0] = add32(sums[t][p][0], sums[t][p][1]);
      out[t][p] = as_floats(total);
    }
  }
}
