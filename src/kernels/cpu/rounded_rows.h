// The product with bf16_dot by multiply-adds, for ISAs without a dot product of bf16: a chunk of
// each row is rounded, then met by the panels as bf16's are, the odd k of a pair first.

constexpr int64_t kRoundedCols = 256;  // tokens x this x 4 bytes stay in the first cache

// `cols` values, and a zero behind an odd number of them. `to` has room for whole lanes.
SLUICE_INLINE void round_row(const float* from, int64_t cols, float* to) {
  int64_t k = 0;
  for (; k + 16 <= cols; k += 16) store(round_to_bf16(load(from + k)), to + k);
  if (k == cols) return;
  float rest[16] = {};
  for (int64_t i = 0; k + i < cols; ++i) rest[i] = from[k + i];
  store(round_to_bf16(load(rest)), to + k);
}

template <int P, int T>
void dot_tile(const std::byte* const* panels_in, int64_t step, const float* const* rows_in,
              int64_t cols, float* out, int64_t ld_out, bool resume) {
  const FlushDenormals flush;
  alignas(64) float rounded[T][kRoundedCols];
  const std::byte* panels[P];
  const float* rows[T];
  F16 acc[T][P];
  SLUICE_UNROLL for (int p = 0; p < P; ++p) panels[p] = panels_in[p];
  SLUICE_UNROLL for (int t = 0; t < T; ++t) {
    rows[t] = rounded[t];
    SLUICE_UNROLL for (int p = 0; p < P; ++p) {
      acc[t][p] = resume ? load(out + t * ld_out + p * 16) : zero();
    }
  }
  int64_t offset = 0;
  for (int64_t first = 0; first < cols; first += kRoundedCols) {
    const int64_t count = cols - first < kRoundedCols ? cols - first : kRoundedCols;
    for (int t = 0; t < T; ++t) round_row(rows_in[t] + first, count, rounded[t]);
    for (int64_t k = 0; k < count; k += 2, offset += step) {
      SLUICE_UNROLL for (int p = 0; p < P; ++p) {
        send_for(panels[p] + offset + ahead_in_weights(P));
      }
      tile_step<Bf16PairWeights, 1, P, T>(panels, offset, rows, k + 1, acc);
      tile_step<Bf16PairWeights, 0, P, T>(panels, offset, rows, k, acc);
    }
  }
  SLUICE_UNROLL for (int t = 0; t < T; ++t) {
    SLUICE_UNROLL for (int p = 0; p < P; ++p) store(acc[t][p], out + t * ld_out + p * 16);
  }
}
