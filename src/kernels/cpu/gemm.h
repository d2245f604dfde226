// The matrix product: P panels of 16 rows times T tokens, all accumulators in registers, K in
// order. A weight is widened once per tile and used for T tokens; an activation is broadcast once
// and used for P panels.

// A KV cache's f32 and f16 as well, and as far ahead: few checkpoints are in these.
struct F32Weights {
  static constexpr int kGroup = 1;  // values of K in one group
  static constexpr int64_t ahead(int) { return kAheadInCache; }
  template <int kHalf>
  static F16 widen(const std::byte* from) {
    return load(reinterpret_cast<const float*>(from));
  }
};

struct F16Weights {
  static constexpr int kGroup = 1;
  static constexpr int64_t ahead(int) { return kAheadInCache; }
  template <int kHalf>
  static F16 widen(const std::byte* from) {
    return load_half(from);
  }
};

struct Bf16PairWeights {
  static constexpr int kGroup = 2;
  static constexpr int64_t ahead(int panels) { return ahead_in_weights(panels); }
  template <int kHalf>
  static F16 widen(const std::byte* from) {
    return kHalf == 0 ? load_bf16_even(from) : load_bf16_odd(from);
  }
};

// As a KV cache has them: sixteen values of one k together.
struct Bf16Weights {
  static constexpr int kGroup = 1;
  static constexpr int64_t ahead(int) { return kAheadInCache; }
  template <int kHalf>
  static F16 widen(const std::byte* from) {
    return load_bf16(from);
  }
};

struct S8Weights {
  static constexpr int kGroup = 1;
  static constexpr int64_t ahead(int) { return kAheadInCache; }
  template <int kHalf>
  static F16 widen(const std::byte* from) {
    return load_s8(from);
  }
};

// acc[t][p] += panel p's value of K (half `kHalf` of the group at `offset`) * rows[t][k]
template <class Weights, int kHalf, int P, int T>
SLUICE_INLINE void tile_step(const std::byte* const* panels, int64_t offset,
                             const float* const* rows, int64_t k, F16 (&acc)[T][P]) {
  F16 w[P];
  SLUICE_UNROLL for (int p = 0; p < P; ++p) {
    w[p] = Weights::template widen<kHalf>(panels[p] + offset);
  }
  SLUICE_UNROLL for (int t = 0; t < T; ++t) {
    const F16 x = set(rows[t][k]);
    SLUICE_UNROLL for (int p = 0; p < P; ++p) acc[t][p] = fma(w[p], x, acc[t][p]);
  }
}

template <class Weights, int P, int T>
void gemm_tile(const std::byte* const* panels_in, int64_t step, const float* const* rows_in,
               int64_t cols, float* out, int64_t ld_out, bool resume) {
  const std::byte* panels[P];
  const float* rows[T];
  F16 acc[T][P];
  SLUICE_UNROLL for (int p = 0; p < P; ++p) panels[p] = panels_in[p];
  SLUICE_UNROLL for (int t = 0; t < T; ++t) {
    rows[t] = rows_in[t];
    SLUICE_UNROLL for (int p = 0; p < P; ++p) {
      acc[t][p] = resume ? load(out + t * ld_out + p * 16) : zero();
    }
  }
  const int64_t whole = cols / Weights::kGroup * Weights::kGroup;
  int64_t offset = 0;
  for (int64_t k = 0; k < whole; k += Weights::kGroup, offset += step) {
    SLUICE_UNROLL for (int p = 0; p < P; ++p) { send_for(panels[p] + offset + Weights::ahead(P)); }
    tile_step<Weights, 0, P, T>(panels, offset, rows, k, acc);
    if constexpr (Weights::kGroup == 2) {
      tile_step<Weights, 1, P, T>(panels, offset, rows, k + 1, acc);
    }
  }
  if (whole != cols) tile_step<Weights, 0, P, T>(panels, offset, rows, whole, acc);
  SLUICE_UNROLL for (int t = 0; t < T; ++t) {
    SLUICE_UNROLL for (int p = 0; p < P; ++p) store(acc[t][p], out + t * ld_out + p * 16);
  }
}
