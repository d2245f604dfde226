// Products over slabs (block_slab.h) with AMX, in units of up to sixteen tokens and one panel. The
// matrix unit multiplies a group of K of one unit; its sums wait in one of four tiles, then in a
// stage in the L1 cache, while vectors scale and add those of the unit before. Whole numbers until
// then, so the bits are those of every other ISA.
//
// While the matrix unit works, multiply-adds of 64 bytes run at half their rate; in between it must
// not rest for more than some thousand cycles, or waking it up takes as many.

constexpr int kUnitTokens = 16;
constexpr int kSumTiles = 4;  // tiles 0 to 3; 4 and 5 hold tokens, 6 and 7 weights

// The same address, of which the compiler knows nothing: it would keep one of its own for each
// token.
SLUICE_INLINE const float* one_base(const float* address) {
  __asm__("" : "+r"(address));
  return address;
}

struct alignas(64) Stage {
  int32_t sums[kSlabGroups][kUnitTokens * kPanelRows];
};

// Some tokens times one panel.
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

// Multiplies `unit` while it scales the one before, of R tokens, whose last sums still wait in
// tiles. The first has none before it, and past the last there is none to multiply.
template <class K, int R, bool kMultiplies, bool kScales>
void run_unit(const Unit& unit, Stage& stage, const Unit& before, Stage& stage_before,
              int64_t groups, int64_t ld_out, bool resume, Ahead& next) {
  const std::byte* tokens = unit.tokens->codes + unit.first_token * kSlabCols;
  const std::byte* weights = unit.weights->codes;
  const float* of_tokens = before.tokens->scale[before.first_token];
  const float* of_sums = before.tokens->minus_scaled_sum[before.first_token];
  F16 acc[R];
  SLUICE_UNROLL for (int t = 0; t < R; ++t) {
    acc[t] = kScales && resume ? load(before.out + t * ld_out) : zero();
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
    if constexpr (kScales) store(acc[t], before.out + t * ld_out);
  }
}

template <class K, bool kMultiplies, int kRows = 1>
SLUICE_INLINE void run_after(const Unit& unit, Stage& stage, const Unit& before,
                             Stage& stage_before, int64_t groups, int64_t ld_out, bool resume,
                             Ahead& next) {
  if constexpr (kRows < kUnitTokens) {
    if (before.rows > kRows) {
      return run_after<K, kMultiplies, kRows + 1>(unit, stage, before, stage_before, groups, ld_out,
                                                  resume, next);
    }
  }
  run_unit<K, kRows, kMultiplies, true>(unit, stage, before, stage_before, groups, ld_out, resume,
                                        next);
}

// A group of sixteen takes a tile as long as one of 32.
template <class K>
constexpr bool has_matrix_unit() {
  return K::kHalves == 1;
}
constexpr int64_t kTokensForMatrixUnit = 6;

// Slabs for the matrix unit: signed codes, their offset taken off. With fewer than many tokens the
// last unit waits to be scaled beside the products of the next one, so its slabs of weights and
// tokens must stay until then. Many do without: they would meet one panel at a time and be loaded
// from the L2 cache for each.
template <class K, class Pace>
class MatrixSlabs {
 public:
  using Kind = K;
  static constexpr bool kKeepsOffset = false;
  static constexpr bool kWaits = !Pace::kMany;
  static constexpr int64_t kPanelsAtOnce = kWaits ? 1 : 2;
  static constexpr int64_t kPanelsAhead = Pace::kPanelsAhead;
  static constexpr int kTurns = Pace::kTurns;
  static SLUICE_INLINE CodeRegister codes(CodeRegister stored) {
    if constexpr (K::kOffset == 0) return stored;
    return _mm512_sub_epi8(stored, repeat8(static_cast<int8_t>(K::kOffset)));
  }

  SLUICE_INLINE MatrixSlabs(TokenSlab& slab, int64_t tokens)
      : slab_(slab),
        tokens_(tokens),
        units_((tokens + kUnitTokens - 1) / kUnitTokens),
        rows_((tokens + units_ - 1) / units_) {
    TileConfig config{};
    config.palette = 1;
    for (int tile = 0; tile < 8; ++tile) {
      config.rows[tile] = tile < 6 ? static_cast<uint8_t>(rows_) : K::kSteps;
      config.row_bytes[tile] = tile == 4 || tile == 5 ? K::kGroup : 64;
    }
    tile_configure(config);
    // Tokens that fill the last unit up.
    for (int64_t t = tokens; t < units_ * rows_; ++t)
      __builtin_memset(slab.codes + t * kSlabCols, 0, kSlabCols);
  }
  SLUICE_INLINE ~MatrixSlabs() { tile_release(); }

  // How often multiply() lets `next` send.
  SLUICE_INLINE int64_t steps(int64_t count, int64_t spans) const {
    return units_ * count * spans * K::kHalves;
  }
  // out[t][p] of all tokens and the `count` panels whose slabs these are, but for a unit that
  // waits.
  SLUICE_INLINE void multiply(const WeightSlab* weights, int64_t count, int64_t spans, float* out,
                              int64_t ld_out, bool resume, Ahead& next) {
    groups_ = spans * K::kHalves;
    for (int64_t first = 0; first < tokens_; first += rows_) {
      const int64_t rows = tokens_ - first < rows_ ? tokens_ - first : rows_;
      for (int64_t p = 0; p < count; ++p) {
        const Unit unit{weights + p, &slab_, first, rows, out + first * ld_out + p * kPanelRows};
        if (before_.rows == 0) {
          run_unit<K, 1, true, false>(unit, stages_[turn_], unit, stages_[1 - turn_], groups_,
                                      ld_out, resume, next);
        } else {
          run_after<K, true>(unit, stages_[turn_], before_, stages_[1 - turn_], groups_, ld_out,
                             resume, next);
        }
        before_ = unit;
        turn_ = 1 - turn_;
      }
    }
    if constexpr (!kWaits) scale_last(ld_out, resume);
  }
  SLUICE_INLINE int64_t tokens() const { return tokens_; }
  // The unit that waits.
  SLUICE_INLINE void finish(int64_t ld_out, bool resume) {
    if constexpr (kWaits) scale_last(ld_out, resume);
  }

 private:
  SLUICE_INLINE void scale_last(int64_t ld_out, bool resume) {
    Ahead none;
    run_after<K, false>(before_, stages_[turn_], before_, stages_[1 - turn_], groups_, ld_out,
                        resume, none);
    before_.rows = 0;
  }

  TokenSlab& slab_;
  const int64_t tokens_;
  const int64_t units_;  // of one panel
  const int64_t rows_;   // of a unit, the last perhaps excepted: as even as they can be
  int64_t groups_ = 0;
  Unit before_{};  // no rows: there is none
  int turn_ = 0;
  Stage stages_[2];
};
