// Tiles of registers over slabs (block_slab.h): some tokens, one or two panels.

template <class K>
struct SlabSpan {
  const WeightSlab& slab;
  int64_t span;

  template <int kStep>
  SLUICE_INLINE Codes codes(Constant<kStep>) const {
    return load_chunk(slab.codes + (span * kSpanSteps + kStep) * kChunkBytes);
  }
  SLUICE_INLINE F16 scale(int half) const { return load(slab.scale + at(half)); }
  SLUICE_INLINE F16 min(int half) const { return load(slab.min + at(half)); }
  SLUICE_INLINE int64_t at(int half) const { return (span * K::kHalves + half) * kPanelRows; }
};

// A span of the gathered tokens from `first` on.
struct GatheredSpans {
  const TokenSlab& slab;
  int64_t span;
  int64_t first;

  SLUICE_INLINE const std::byte* codes(int t) const {
    return slab.codes + (first + t) * kSlabCols + span * kSpan;
  }
  SLUICE_INLINE const std::byte* pairs(int t) const {
    return slab.codes + ((first + t) * kSlabCols + span * kSpan) * 2;
  }
  template <class K>
  SLUICE_INLINE int32_t start(int t, int half) const {
    if constexpr (K::kOffset == 0) return kBiasBits;
    return slab.start[first + t][span * K::kHalves + half];
  }
  SLUICE_INLINE float scale(int t) const { return slab.scale[first + t][span]; }
  template <class K>
  SLUICE_INLINE float minus_scaled_sum(int t, int half) const {
    return slab.minus_scaled_sum[first + t][span * K::kHalves + half];
  }
};

// out[t][p] = the slab's spans, added to what is there with `resume`.
template <class K, int T, int P>
void slab_tile(const WeightSlab* weights, const TokenSlab& tokens, int64_t first_token,
               int64_t spans, float* out, int64_t ld_out, bool resume, Ahead& next) {
  F16 acc[T][P];
  SLUICE_UNROLL for (int t = 0; t < T; ++t) {
    SLUICE_UNROLL for (int p = 0; p < P; ++p) {
      acc[t][p] = resume ? load(out + t * ld_out + p * kPanelRows) : zero();
    }
  }
  for (int64_t i = 0; i < spans; ++i) {
    next.send();
    if constexpr (P == 1) {
      const SlabSpan<K> of_span[1] = {{weights[0], i}};
      add_span<K, T, 1>(of_span, GatheredSpans{tokens, i, first_token}, acc);
    } else {
      const SlabSpan<K> of_span[2] = {{weights[0], i}, {weights[1], i}};
      add_span<K, T, 2>(of_span, GatheredSpans{tokens, i, first_token}, acc);
    }
  }
  SLUICE_UNROLL for (int t = 0; t < T; ++t) {
    SLUICE_UNROLL for (int p = 0; p < P; ++p) store(acc[t][p], out + t * ld_out + p * kPanelRows);
  }
}

using SlabTile = void (*)(const WeightSlab*, const TokenSlab&, int64_t, int64_t, float*, int64_t,
                          bool, Ahead&);

template <class K, int T, int P>
constexpr void fill_slabs(SlabTile (&tiles)[kMaxBlockTile + 1]) {
  if constexpr (T > 0) {
    tiles[T] = &slab_tile<K, T, P>;
    fill_slabs<K, T - 1, P>(tiles);
  }
}

template <class K>
struct SlabTiles {
  static constexpr int kTokens = slab_tokens(K::kMaxCode);
  struct Table {
    SlabTile of[kTilePanels][kMaxBlockTile + 1];
  };
  static constexpr Table make() {
    Table table{};
    fill_slabs<K, kTokens, 1>(table.of[0]);
    if constexpr (kTilePanels == 2) fill_slabs<K, kTokens, 2>(table.of[1]);
    return table;
  }
  static constexpr Table kTable = make();
};

// Slabs for vectors: codes as they are stored, unsigned; a sum begins with kBiasBits - offset * sum
// of the activations' codes.
template <class K, class Pace>
class VectorSlabs {
 public:
  using Kind = K;
  static constexpr bool kKeepsOffset = true;
  static constexpr int64_t kPanelsAtOnce = kTilePanels;
  static constexpr int64_t kPanelsAhead = Pace::kPanelsAhead;
  static constexpr int kTurns = Pace::kTurns;
  static SLUICE_INLINE CodeRegister codes(CodeRegister stored) { return stored; }

  SLUICE_INLINE VectorSlabs(const TokenSlab& slab, int64_t tokens)
      : slab_(slab), tokens_(tokens), tiles_((tokens + kTokens - 1) / kTokens) {}

  // How often multiply() lets `next` send.
  SLUICE_INLINE int64_t steps(int64_t count, int64_t spans) const {
    return (count + kTilePanels - 1) / kTilePanels * tiles_ * spans;
  }
  // out[t][p] of all tokens and the `count` panels whose slabs these are.
  SLUICE_INLINE void multiply(const WeightSlab* weights, int64_t count, int64_t spans, float* out,
                              int64_t ld_out, bool resume, Ahead& next) const {
    for (int64_t panel = 0; panel < count; panel += kTilePanels) {
      const int64_t some = count - panel < kTilePanels ? count - panel : kTilePanels;
      for (int64_t i = 0; i < tiles_; ++i) {
        const int64_t from = tokens_ * i / tiles_;
        const int64_t to = tokens_ * (i + 1) / tiles_;
        SlabTiles<K>::kTable.of[some - 1][to - from](weights + panel, slab_, from, spans,
                                                     out + from * ld_out + panel * kPanelRows,
                                                     ld_out, resume, next);
      }
    }
  }
  SLUICE_INLINE int64_t tokens() const { return tokens_; }
  // Nothing waits.
  SLUICE_INLINE void finish(int64_t, bool) const {}

 private:
  static constexpr int64_t kTokens = SlabTiles<K>::kTokens;

  const TokenSlab& slab_;
  const int64_t tokens_;
  const int64_t tiles_;
};
