// Products over slabs (block_slab.h) with AMX, in units of sixteen tokens and one panel. The matrix
// unit multiplies a group of K of one unit; its sums wait in one of four tiles, then in a stage in
// the L1 cache, while vectors scale and add those of the unit before. Whole numbers until then, so
// the bits are those of every other ISA.

constexpr int kTileTokens = 16;
constexpr int kSumTiles = 4;  // tiles 0 to 3; 4 and 5 hold tokens, 6 and 7 weights

// The same address, of which the compiler knows nothing: it would keep one of its own for each
// token.
SLUICE_INLINE const float* one_base(const float* address) {
  __asm__("" : "+r"(address));
  return address;
}

struct alignas(64) Stage {
  int32_t sums[kSlabGroups][kTileTokens * kPanelRows];
};

// Sixteen tokens, or the last fewer, times one panel.
struct Unit {
  const WeightSlab* weights;
  const TokenSlab* tokens;
  int64_t first_token;
  int64_t rows;
  float* out;
};

// Begins the products of one group in tile kTile.
template <class K, int kTile>
SLUICE_INLINE void multiply_group(const std::byte* tokens, const std::byte* weights,
                                  int64_t group) {
  tile_zero<kTile>();
  tile_load<4 + kTile % 2>(tokens + group * K::kGroup, kSlabCols);
  tile_load<6 + kTile % 2>(weights + group * K::kSteps * kChunkBytes, kChunkBytes);
  tile_dot<kTile, 4 + kTile % 2, 6 + kTile % 2>();
}

// acc[t] += the sums of one group, scaled.
template <class K, int R>
SLUICE_INLINE void scale_group(const WeightSlab& weights, const float* of_tokens,
                               const float* of_sums, int64_t group, const int32_t* sums,
                               F16 (&acc)[R]) {
  const F16 scale = load(weights.scale + group * kPanelRows);
  of_tokens = one_base(of_tokens + group / K::kHalves);
  SLUICE_UNROLL for (int t = 0; t < R; ++t) {
    const CodeRegister sum[1] = {_mm512_load_si512(sums + t * kPanelRows)};
    acc[t] = fma(mul(to_floats(sum), scale), set(of_tokens[t * kSlabSpans]), acc[t]);
  }
  if constexpr (K::kHasMin) {
    const F16 min = load(weights.min + group * kPanelRows);
    of_sums = one_base(of_sums + group);
    SLUICE_UNROLL for (int t = 0; t < R; ++t) {
      acc[t] = fma(set(of_sums[t * kSlabGroups]), min, acc[t]);
    }
  }
}

// Multiplies `unit` while it scales the one before, of R tokens or fewer, whose last sums still
// wait in tiles. The first has none before it, and past the last there is none to multiply.
template <class K, int R, bool kMultiplies, bool kScales>
void run_unit(const Unit& unit, Stage& stage, const Unit& before, Stage& stage_before,
              int64_t groups, int64_t ld_out, bool resume, Ahead& next) {
  const std::byte* tokens = unit.tokens->codes + unit.first_token * kSlabCols;
  const std::byte* weights = unit.weights->codes;
  const float* of_tokens = before.tokens->scale[before.first_token];
  const float* of_sums = before.tokens->minus_scaled_sum[before.first_token];
  F16 acc[R];
  SLUICE_UNROLL for (int t = 0; t < R; ++t) {
    acc[t] = kScales && resume && t < before.rows ? load(before.out + t * ld_out) : zero();
  }
  for (int64_t first = 0; first < groups; first += kSumTiles) {
    for_constants<0, kSumTiles>([&]<int kTile>(Constant<kTile>) SLUICE_LAMBDA_INLINE {
      const int64_t group = first + kTile;
      if (group >= groups) return;
      // A tile is emptied just before it is needed again.
      if (first > 0) {
        if constexpr (kMultiplies) tile_store<kTile>(stage.sums[group - kSumTiles], 64);
      } else if constexpr (kScales) {
        const int64_t last = kTile + (groups - 1 - kTile) / kSumTiles * kSumTiles;
        tile_store<kTile>(stage_before.sums[last], 64);
      }
      if constexpr (kMultiplies) multiply_group<K, kTile>(tokens, weights, group);
      next.send();
      if constexpr (kScales) {
        scale_group<K, R>(*before.weights, of_tokens, of_sums, group, stage_before.sums[group],
                          acc);
      }
    });
  }
  SLUICE_UNROLL for (int t = 0; t < R; ++t) {
    if (kScales && t < before.rows) store(acc[t], before.out + t * ld_out);
  }
}

template <class K, bool kMultiplies>
void run_after(const Unit& unit, Stage& stage, const Unit& before, Stage& stage_before,
               int64_t groups, int64_t ld_out, bool resume, Ahead& next) {
  const auto run = [&]<int kRows>(Constant<kRows>) {
    run_unit<K, kRows, kMultiplies, true>(unit, stage, before, stage_before, groups, ld_out, resume,
                                          next);
  };
  if (before.rows <= 4) return run(Constant<4>());
  if (before.rows <= 8) return run(Constant<8>());
  if (before.rows <= 12) return run(Constant<12>());
  run(Constant<16>());
}

// A group of sixteen fills half of the unit.
template <class K>
constexpr bool has_matrix_unit() {
  return K::kHalves == 1;
}
constexpr int64_t kTokensForMatrixUnit = 24;

// Slabs for the matrix unit: signed codes, their offset taken off.
struct MatrixSlabs {
  static constexpr bool kKeepsOffset = false;
  template <class K>
  static SLUICE_INLINE CodeRegister codes(CodeRegister stored) {
    if constexpr (K::kOffset == 0) return stored;
    return _mm512_sub_epi8(stored, repeat8(static_cast<int8_t>(K::kOffset)));
  }

  template <class K>
  static SLUICE_INLINE void begin(TokenSlab& slab, int64_t tokens) {
    TileConfig config{};
    config.palette = 1;
    for (int tile = 0; tile < 8; ++tile) {
      config.rows[tile] = tile < 6 ? kTileTokens : K::kSteps;
      config.row_bytes[tile] = tile == 4 || tile == 5 ? K::kGroup : 64;
    }
    tile_configure(config);
    // Tokens that fill the last tile up.
    for (int64_t t = tokens; t % kTileTokens != 0; ++t) {
      __builtin_memset(slab.codes + t * kSlabCols, 0, kSlabCols);
      __builtin_memset(slab.scale[t], 0, sizeof slab.scale[t]);
      __builtin_memset(slab.minus_scaled_sum[t], 0, sizeof slab.minus_scaled_sum[t]);
    }
  }
  static SLUICE_INLINE void end() { tile_release(); }

  // How often multiply() lets `next` send.
  template <class K>
  static SLUICE_INLINE int64_t steps(int64_t count, int64_t tokens, int64_t spans) {
    return (tokens + kTileTokens - 1) / kTileTokens * count * spans * K::kHalves;
  }
  // out[t][p] of all tokens and the `count` panels whose slabs these are.
  template <class K>
  static void multiply(const WeightSlab* weights, int64_t count, const TokenSlab& slab,
                       int64_t tokens, int64_t spans, float* out, int64_t ld_out, bool resume,
                       Ahead& next) {
    const int64_t groups = spans * K::kHalves;
    Stage stages[2];
    int which = 0;
    Unit before{};
    for (int64_t first = 0; first < tokens; first += kTileTokens) {
      const int64_t rows = tokens - first < kTileTokens ? tokens - first : kTileTokens;
      for (int64_t p = 0; p < count; ++p) {
        const Unit unit{weights + p, &slab, first, rows, out + first * ld_out + p * kPanelRows};
        if (first == 0 && p == 0) {
          run_unit<K, 1, true, false>(unit, stages[which], unit, stages[1 - which], groups, ld_out,
                                      resume, next);
        } else {
          run_after<K, true>(unit, stages[which], before, stages[1 - which], groups, ld_out, resume,
                             next);
        }
        before = unit;
        which = 1 - which;
      }
    }
    run_after<K, false>(before, stages[which], before, stages[1 - which], groups, ld_out, resume,
                        next);
  }
};
