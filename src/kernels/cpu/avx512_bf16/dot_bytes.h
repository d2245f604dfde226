// Sums of codes times activations by VNNI's dot product of four bytes. Exact: whole numbers, and
// nothing overflows.

constexpr int block_tile_tokens(int) { return 8; }

// sums[t] = sum over the steps [kFirst, kLast) of a span; `codes(Constant<s>())` gives a step's.
// `rows[t]` is the token's row, `k` the first value of the span. Even and odd steps are summed
// apart where few tokens keep the unit waiting for its own result.
template <int kMaxCode, int kFirst, int kLast, int T, class StepCodes>
SLUICE_INLINE void dot_span(const StepCodes& codes, const std::byte* const (&rows)[T], int64_t,
                            int64_t k, F16 (&out)[T]) {
  constexpr int kChainsOfToken = T <= 4 ? 2 : 1;
  CodeRegister sums[T][kChainsOfToken];
  SLUICE_UNROLL for (int t = 0; t < T; ++t) {
    SLUICE_UNROLL for (int c = 0; c < kChainsOfToken; ++c) sums[t][c] = _mm512_setzero_si512();
  }
  for_constants<kFirst, kLast>([&]<int kStep>(Constant<kStep>) SLUICE_LAMBDA_INLINE {
    const Codes w = codes(Constant<kStep>());
    SLUICE_UNROLL for (int t = 0; t < T; ++t) {
      CodeRegister& sum = sums[t][kStep % kChainsOfToken];
      sum = _mm512_dpbusd_epi32(sum, w.v[0], repeat32(load_s32(rows[t] + k + kStep * 4)));
    }
  });
  SLUICE_UNROLL for (int t = 0; t < T; ++t) {
    CodeRegister total[1] = {sums[t][0]};
    if constexpr (kChainsOfToken == 2) total[0] = add32(sums[t][0], sums[t][1]);
    out[t] = to_floats(total);
  }
}
