// What VNNI's dot product of four bytes can do at most, as a raw intrinsic: Highway 1.0.3 has none.

constexpr int kPeakChains = 12;
constexpr int kPeakSteps = 16;
constexpr int64_t kDotOps = int64_t{2} * 64 * kPeakChains * kPeakSteps;

int32_t dot_loop(int64_t rounds) {
  __m512i sum[kPeakChains];
  for (auto& chain : sum) chain = _mm512_set1_epi32(1);
  const __m512i a = _mm512_set1_epi8(1);
  for (int64_t round = 0; round < rounds; ++round) {
    SLUICE_UNROLL for (int step = 0; step < kPeakSteps; ++step) {
      SLUICE_UNROLL for (auto& chain : sum) chain = _mm512_dpbusd_epi32(chain, a, a);
    }
  }
  for (int i = 1; i < kPeakChains; ++i) sum[0] = _mm512_add_epi32(sum[0], sum[i]);
  return _mm512_cvtsi512_si32(sum[0]);
}
