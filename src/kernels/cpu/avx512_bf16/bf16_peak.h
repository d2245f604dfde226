// What the dot product of AVX-512 BF16 can do at most, as a raw intrinsic: Highway 1.0.3 has none.

constexpr int kDotSteps = 16;
constexpr int64_t kBf16DotFlops = int64_t{2} * 32 * kChains * kDotSteps;

float bf16_dot_loop(int64_t rounds) {
  __m512 sum[kChains];
  const __m512 small = _mm512_set1_ps(0x1p-20f);
  for (auto& chain : sum) chain = small;
  __m512bh a = _mm512_cvtne2ps_pbh(small, small);
  for (int64_t round = 0; round < rounds; ++round) {
    SLUICE_UNROLL for (int step = 0; step < kDotSteps; ++step) {
      SLUICE_UNROLL for (int i = 0; i < kChains; ++i) sum[i] = _mm512_dpbf16_ps(sum[i], a, a);
    }
  }
  for (int i = 1; i < kChains; ++i) sum[0] = _mm512_add_ps(sum[0], sum[i]);
  return _mm512_cvtss_f32(sum[0]);
}
