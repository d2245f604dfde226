// Products of many tokens with bf16 panels, slab by slab of K: the first tile of tokens widens a
// panel's weights and leaves them in the L1 cache as floats for the others. For AVX2, whose sixteen
// registers a tile's sums fill but for four: two of weights, a token's value and what widens. With
// bf16_dot the tokens are rounded as they are gathered, and the odd k of a pair comes first
// (rounded_rows.h).

constexpr int64_t kFloatSlabCols = 128;
// Rows a power of two apart would share a few sets of the cache.
constexpr int64_t kFloatSlabPitch = kFloatSlabCols + 16;
constexpr int64_t kPairBytes = 2 * 2 * kPanelRows;  // of a panel's two values of K
constexpr int kFloatSlabTile = kTiles[0];           // tokens

struct alignas(64) FloatSlab {
  float weights[kFloatSlabCols * kPanelRows];  // [k][row]
  float tokens[kMaxItemTokens][kFloatSlabPitch];
};

// The value is made here, in registers. Compilers like to keep sums on the stack instead, and to
// load weights again for each token.
SLUICE_INLINE void made_here(F16& value) {
  SLUICE_UNROLL for (int i = 0; i < kParts; ++i) __asm__("" : "+v"(value.v[i].raw));
}

// Where a tile finds its weights: as they are stored, so and left widened for the next, or widened.
enum class SlabWeights { kStored, kKept, kWidened };

// acc[t] += the value of K that is half `kHalf` of the pair at `stored` times tokens[t]
template <SlabWeights kFrom, int kHalf, int T>
SLUICE_INLINE void float_slab_step(const std::byte* stored, float* widened, const float* tokens,
                                   F16 (&acc)[T]) {
  F16 w = kFrom == SlabWeights::kWidened ? load(widened) : Bf16PairWeights::widen<kHalf>(stored);
  made_here(w);
  if constexpr (kFrom == SlabWeights::kKept) store(w, widened);
  SLUICE_UNROLL for (int t = 0; t < T; ++t) {
    acc[t] = fma(w, set(tokens[t * kFloatSlabPitch]), acc[t]);
    made_here(acc[t]);
  }
}

// out[t] = `cols` values of K, added to what is there with `resume`; with kDots by pairs, the last
// of which may have a zero. While the weights are read those at `next` are sent for.
template <bool kDots, SlabWeights kFrom, int T>
void float_slab_tile(const std::byte* stored, const std::byte* next, FloatSlab& slab,
                     int64_t first_token, int64_t cols, float* out, int64_t ld_out, bool resume) {
  float* widened = slab.weights;
  const float* tokens = slab.tokens[first_token];
  F16 acc[T];
  SLUICE_UNROLL for (int t = 0; t < T; ++t) acc[t] = resume ? load(out + t * ld_out) : zero();
  constexpr int kFirst = kDots ? 1 : 0, kSecond = 1 - kFirst;
  const int64_t pairs_end = kDots ? (cols + 1) / 2 * 2 : cols / 2 * 2;
  int64_t k = 0;
  for (; k < pairs_end; k += 2, stored += kPairBytes, next += kPairBytes) {
    if constexpr (kFrom != SlabWeights::kWidened) send_for(next);
    float_slab_step<kFrom, kFirst, T>(stored, widened + (k + kFirst) * kPanelRows,
                                      tokens + k + kFirst, acc);
    // Loaded twice: both halves of a pair at once would take a register too many.
    __asm__("" : "+r"(stored));
    float_slab_step<kFrom, kSecond, T>(stored, widened + (k + kSecond) * kPanelRows,
                                       tokens + k + kSecond, acc);
  }
  if (k < cols) float_slab_step<kFrom, 0, T>(stored, widened + k * kPanelRows, tokens + k, acc);
  SLUICE_UNROLL for (int t = 0; t < T; ++t) store(acc[t], out + t * ld_out);
}

using FloatSlabTile = void (*)(const std::byte*, const std::byte*, FloatSlab&, int64_t, int64_t,
                               float*, int64_t, bool);

struct FloatSlabTiles {
  FloatSlabTile of[3][kFloatSlabTile + 1];  // [SlabWeights][tokens]
};
template <bool kDots, int T = kFloatSlabTile>
constexpr void fill_float_slabs(FloatSlabTiles& tiles) {
  if constexpr (T > 0) {
    tiles.of[0][T] = &float_slab_tile<kDots, SlabWeights::kStored, T>;
    tiles.of[1][T] = &float_slab_tile<kDots, SlabWeights::kKept, T>;
    tiles.of[2][T] = &float_slab_tile<kDots, SlabWeights::kWidened, T>;
    fill_float_slabs<kDots, T - 1>(tiles);
  }
}
template <bool kDots>
constexpr FloatSlabTiles make_float_slabs() {
  FloatSlabTiles tiles{};
  fill_float_slabs<kDots>(tiles);
  return tiles;
}
template <bool kDots>
constexpr FloatSlabTiles kFloatSlabTiles = make_float_slabs<kDots>();

// The tokens' values of K from `first` on, side by side; with kDots rounded, and with whole lanes.
template <bool kDots>
SLUICE_INLINE void gather_floats(const float* const* rows, int64_t tokens, int64_t first,
                                 int64_t cols, FloatSlab& slab) {
  for (int64_t t = 0; t < tokens; ++t) {
    const float* from = rows[t] + first;
    float* to = slab.tokens[t];
    if constexpr (kDots) {
      round_row(from, cols, to);
      continue;
    }
    int64_t k = 0;
    for (; k + 16 <= cols; k += 16) store(load(from + k), to + k);
    for (; k < cols; ++k) to[k] = from[k];
  }
}

// What comes after panel `p` of a slab of `cols` values of K from `first` on: the next panel, the
// next slab, or what the caller has next. Of the last panel itself, where there is nothing.
SLUICE_INLINE const std::byte* after_panel(const PanelList& panels, int64_t p, int64_t first,
                                           int64_t cols, int64_t all_cols) {
  const auto at = [](const std::byte* panel, int64_t k) { return panel + k / 2 * kPairBytes; };
  if (p + 1 < panels.count) return at(panels.at[p + 1], first);
  if (first + cols < all_cols) return at(panels.at[0], first + cols);
  return panels.next_count > 0 ? panels.next[0] : at(panels.at[p], first);
}

template <bool kDots>
void panels_by_slabs(const PanelList& panels, int64_t cols, const float* const* rows,
                     int64_t tokens, float* out, int64_t ld_out) {
  FloatSlab slab;
  const int64_t tiles = (tokens + kFloatSlabTile - 1) / kFloatSlabTile;
  for (int64_t first = 0; first < cols; first += kFloatSlabCols) {
    const int64_t count = cols - first < kFloatSlabCols ? cols - first : kFloatSlabCols;
    gather_floats<kDots>(rows, tokens, first, count, slab);
    for (int64_t p = 0; p < panels.count; ++p) {
      const std::byte* const stored = panels.at[p] + first / 2 * kPairBytes;
      const std::byte* const next = after_panel(panels, p, first, count, cols);
      for (int64_t i = 0; i < tiles; ++i) {
        const int64_t from = tokens * i / tiles;
        const int64_t to = tokens * (i + 1) / tiles;
        const SlabWeights weights = tiles == 1 ? SlabWeights::kStored
                                    : i == 0   ? SlabWeights::kKept
                                               : SlabWeights::kWidened;
        kFloatSlabTiles<kDots>.of[static_cast<int>(weights)][to - from](
            stored, next, slab, from, count, out + from * ld_out + p * kPanelRows, ld_out,
            first != 0);
      }
    }
  }
}

// As FloatPanels (op_table.h) says.
void bf16_panels(const PanelList& panels, int64_t cols, const float* const* rows, int64_t tokens,
                 float* out, int64_t ld_out) {
  panels_by_slabs<false>(panels, cols, rows, tokens, out, ld_out);
}
void bf16_dot_panels(const PanelList& panels, int64_t cols, const float* const* rows,
                     int64_t tokens, float* out, int64_t ld_out) {
  const FlushDenormals flush;
  panels_by_slabs<true>(panels, cols, rows, tokens, out, ld_out);
}

constexpr FloatPanels kBf16Panels = &bf16_panels;
constexpr FloatPanels kBf16DotPanels = &bf16_dot_panels;
constexpr int64_t kBf16PanelTokens = 4;
