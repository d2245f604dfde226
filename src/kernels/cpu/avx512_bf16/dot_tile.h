// The product with bf16_dot: a chunk of each row is rounded to pairs of bf16, each of which meets
// the sixteen pairs of a panel in one instruction. It adds the odd product of a pair before the
// even one and takes denormals for 0, whatever the mode of rounding.

constexpr int64_t kPairedCols = 512;  // tokens x this x 2 bytes stay in the first cache

// `cols` values as pairs, with a zero behind an odd number of them. `to` has room for 16 more.
SLUICE_INLINE void pair_row(const float* from, int64_t cols, uint32_t* to) {
  int64_t k = 0;
  for (; k + 32 <= cols; k += 32) {
    const __m512bh pairs =
        _mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + k + 16), _mm512_loadu_ps(from + k));
    _mm512_storeu_si512(to + k / 2, __builtin_bit_cast(__m512i, pairs));
  }
  if (k == cols) return;
  const auto present = static_cast<uint32_t>((uint64_t{1} << (cols - k)) - 1);
  const __m512 low = _mm512_maskz_loadu_ps(static_cast<__mmask16>(present), from + k);
  const __m512 high = _mm512_maskz_loadu_ps(static_cast<__mmask16>(present >> 16), from + k + 16);
  _mm512_storeu_si512(to + k / 2, __builtin_bit_cast(__m512i, _mm512_cvtne2ps_pbh(high, low)));
}

template <int P, int T>
void dot_tile(const std::byte* const* panels_in, int64_t step, const float* const* rows,
              int64_t cols, float* out, int64_t ld_out, bool resume) {
  alignas(64) uint32_t pairs[T][kPairedCols / 2];
  const std::byte* panels[P];
  __m512 acc[T][P];
  SLUICE_UNROLL for (int p = 0; p < P; ++p) panels[p] = panels_in[p];
  SLUICE_UNROLL for (int t = 0; t < T; ++t) {
    SLUICE_UNROLL for (int p = 0; p < P; ++p) {
      acc[t][p] = resume ? _mm512_loadu_ps(out + t * ld_out + p * 16) : _mm512_setzero_ps();
    }
  }
  int64_t offset = 0;
  for (int64_t first = 0; first < cols; first += kPairedCols) {
    const int64_t count = cols - first < kPairedCols ? cols - first : kPairedCols;
    for (int t = 0; t < T; ++t) pair_row(rows[t] + first, count, pairs[t]);
    for (int64_t pair = 0; pair < (count + 1) / 2; ++pair, offset += step) {
      __m512bh w[P];
      SLUICE_UNROLL for (int p = 0; p < P; ++p) {
        send_for(panels[p] + offset + ahead_in_weights(P));
        w[p] = __builtin_bit_cast(__m512bh, _mm512_loadu_si512(panels[p] + offset));
      }
      SLUICE_UNROLL for (int t = 0; t < T; ++t) {
        const auto x =
            __builtin_bit_cast(__m512bh, _mm512_set1_epi32(static_cast<int>(pairs[t][pair])));
        SLUICE_UNROLL for (int p = 0; p < P; ++p) {
          acc[t][p] = _mm512_dpbf16_ps(acc[t][p], w[p], x);
        }
      }
    }
  }
  SLUICE_UNROLL for (int t = 0; t < T; ++t) {
    SLUICE_UNROLL for (int p = 0; p < P; ++p)
        _mm512_storeu_ps(out + t * ld_out + p * 16, acc[t][p]);
  }
}
