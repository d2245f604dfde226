// Products of a panel of a block format with quantized tokens (block_table.h). Few tokens: codes go
// from memory to registers and are used at once. More: a slab of K is taken apart once, into the L1
// cache, and all tokens pass over it.

// What the inner loop needs to know of a format once its codes are bytes.
template <int kMaxCode_, int kOffset_, int kGroup_, bool kHasMin_>
struct Kind {
  static constexpr int kMaxCode = kMaxCode_;
  static constexpr int kOffset = kOffset_;
  static constexpr int kGroup = kGroup_;
  static constexpr bool kHasMin = kHasMin_;
};
template <int kDType>
using KindOf = Kind<Format<kDType>::kMaxCode, Format<kDType>::kOffset, Format<kDType>::kGroup,
                    Format<kDType>::kHasMin>;

// acc[t] += one span, with codes(Constant<step>()), scale(half) and min(half) of its groups.
template <class K, int T, class Source>
SLUICE_INLINE void add_span(const Source& source, const std::byte* const (&rows)[T], int64_t cols,
                            int64_t k, F16 (&acc)[T]) {
  constexpr int kHalves = kSpan / K::kGroup;
  for_constants<0, kHalves>([&]<int kHalf>(Constant<kHalf>) SLUICE_LAMBDA_INLINE {
    constexpr int kSteps = kSpanSteps / kHalves;
    F16 sums[T];
    dot_span<K::kMaxCode, kHalf * kSteps, (kHalf + 1) * kSteps>(
        [&]<int kStep>(Constant<kStep> step) SLUICE_LAMBDA_INLINE { return source.codes(step); },
        rows, cols, k, sums);
    const F16 scale = source.scale(kHalf);
    SLUICE_UNROLL for (int t = 0; t < T; ++t) {
      const auto* span = reinterpret_cast<const SpanScale*>(rows[t] + cols + k);
      F16 sum = sums[t];
      if constexpr (K::kOffset != 0) {
        const float of_codes = kHalves == 1 ? span->sum : span->half_sum[kHalf];
        sum = fma(set(-static_cast<float>(K::kOffset)), set(of_codes), sum);
      }
      acc[t] = fma(mul(sum, scale), set(span->scale), acc[t]);
    }
    if constexpr (K::kHasMin) {
      const F16 min = source.min(kHalf);
      SLUICE_UNROLL for (int t = 0; t < T; ++t) {
        const auto* span = reinterpret_cast<const SpanScale*>(rows[t] + cols + k);
        const float of_codes = kHalves == 1 ? span->scaled_sum : span->half_scaled_sum[kHalf];
        acc[t] = fma(set(-of_codes), min, acc[t]);
      }
    }
  });
}

// A span where it lies in the panel.
template <int kDType>
struct PanelSpan {
  const std::byte* span;
  Scales<kDType> scales;
  int64_t first_group;

  template <int kStep>
  SLUICE_INLINE Codes codes(Constant<kStep>) const {
    return Format<kDType>::template codes<kStep>(span);
  }
  SLUICE_INLINE F16 scale(int half) const { return scales.scale(first_group + half); }
  SLUICE_INLINE F16 min(int half) const { return scales.min(first_group + half); }
};

template <int kDType, int T>
void direct_tile(const std::byte* panel, int64_t cols, const std::byte* const* rows_in, float* out,
                 int64_t ld_out) {
  using K = KindOf<kDType>;
  constexpr int64_t kSpanBytes = Format<kDType>::kTraits.code_bits * kChunkBytes;
  const Scales<kDType> scales(panel + code_bytes(Format<kDType>::kTraits, cols));
  const std::byte* rows[T];
  F16 acc[T];
  SLUICE_UNROLL for (int t = 0; t < T; ++t) {
    rows[t] = rows_in[t];
    acc[t] = zero();
  }
  for (int64_t k = 0; k < cols; k += kSpan, panel += kSpanBytes) {
    SLUICE_UNROLL for (int64_t line = 0; line < kSpanBytes; line += 64) {
      __builtin_prefetch(panel + line + kPrefetchBytes);
    }
    add_span<K, T>(PanelSpan<kDType>{panel, scales, k / K::kGroup}, rows, cols, k, acc);
  }
  SLUICE_UNROLL for (int t = 0; t < T; ++t) store(acc[t], out + t * ld_out);
}

constexpr int kSlabSpans = 8;  // 4 KiB of codes

// A piece of a panel taken apart.
struct alignas(64) Slab {
  std::byte codes[kSlabSpans * kSpanSteps * kChunkBytes];
  float scale[kSlabSpans * 2 * kPanelRows];
  float min[kSlabSpans * 2 * kPanelRows];
};

template <class K>
struct SlabSpan {
  const Slab& slab;
  int64_t span;

  template <int kStep>
  SLUICE_INLINE Codes codes(Constant<kStep>) const {
    return load_chunk(slab.codes + (span * kSpanSteps + kStep) * kChunkBytes);
  }
  SLUICE_INLINE F16 scale(int half) const { return load(slab.scale + at(half)); }
  SLUICE_INLINE F16 min(int half) const { return load(slab.min + at(half)); }
  SLUICE_INLINE int64_t at(int half) const {
    return (span * (kSpan / K::kGroup) + half) * kPanelRows;
  }
};

template <int kDType>
void fill_slab(const std::byte* panel, int64_t cols, int64_t first_span, int64_t spans,
               Slab& slab) {
  using F = Format<kDType>;
  const Scales<kDType> scales(panel + code_bytes(F::kTraits, cols));
  const std::byte* span = panel + first_span * F::kTraits.code_bits * kChunkBytes;
  std::byte* to = slab.codes;
  for (int64_t i = 0; i < spans; ++i, span += F::kTraits.code_bits * kChunkBytes) {
    for_constants<0, kSpanSteps>([&]<int kStep>(Constant<kStep>) SLUICE_LAMBDA_INLINE {
      const Codes codes = F::template codes<kStep>(span);
      SLUICE_UNROLL for (int r = 0; r < kCodeRegisters; ++r) {
        store_codes(codes.v[r], to + r * (kChunkBytes / kCodeRegisters));
      }
      to += kChunkBytes;
    });
  }
  constexpr int64_t kGroups = kSpan / F::kGroup;
  for (int64_t g = 0; g < spans * kGroups; ++g) {
    store(scales.scale(first_span * kGroups + g), slab.scale + g * kPanelRows);
    if constexpr (F::kHasMin)
      store(scales.min(first_span * kGroups + g), slab.min + g * kPanelRows);
  }
}

// out[t] += the slab's spans; starts from zero at the first.
template <class K, int T>
void slab_tile(const Slab& slab, int64_t first_span, int64_t spans, const std::byte* const* rows_in,
               int64_t cols, float* out, int64_t ld_out) {
  const std::byte* rows[T];
  F16 acc[T];
  SLUICE_UNROLL for (int t = 0; t < T; ++t) {
    rows[t] = rows_in[t];
    acc[t] = first_span == 0 ? zero() : load(out + t * ld_out);
  }
  for (int64_t i = 0; i < spans; ++i) {
    add_span<K, T>(SlabSpan<K>{slab, i}, rows, cols, (first_span + i) * kSpan, acc);
  }
  SLUICE_UNROLL for (int t = 0; t < T; ++t) store(acc[t], out + t * ld_out);
}

using DirectTile = void (*)(const std::byte*, int64_t, const std::byte* const*, float*, int64_t);
using SlabTile = void (*)(const Slab&, int64_t, int64_t, const std::byte* const*, int64_t, float*,
                          int64_t);

constexpr int kMaxBlockTile = 8;

template <int kDType, int T>
constexpr void fill_direct(DirectTile (&tiles)[kMaxBlockTile + 1]) {
  if constexpr (T > 0) {
    tiles[T] = &direct_tile<kDType, T>;
    fill_direct<kDType, T - 1>(tiles);
  }
}
template <class K, int T>
constexpr void fill_slabs(SlabTile (&tiles)[kMaxBlockTile + 1]) {
  if constexpr (T > 0) {
    tiles[T] = &slab_tile<K, T>;
    fill_slabs<K, T - 1>(tiles);
  }
}

template <int kDType>
struct Tiles {
  static constexpr int kTokens = block_tile_tokens(Format<kDType>::kMaxCode);
  struct Table {
    DirectTile direct[kMaxBlockTile + 1];
    SlabTile slab[kMaxBlockTile + 1];
  };
  static constexpr Table make() {
    Table table{};
    fill_direct<kDType, kTokens>(table.direct);
    fill_slabs<KindOf<kDType>, kTokens>(table.slab);
    return table;
  }
  static constexpr Table kTable = make();
};

template <int kDType>
void block_panel(const std::byte* panel, int64_t cols, const std::byte* const* rows, int64_t tokens,
                 float* out, int64_t ld_out) {
  using All = Tiles<kDType>;
  if (tokens <= All::kTokens) {
    All::kTable.direct[tokens](panel, cols, rows, out, ld_out);
    return;
  }
  Slab slab;
  const int64_t tiles = (tokens + All::kTokens - 1) / All::kTokens;
  for (int64_t first = 0; first < cols / kSpan; first += kSlabSpans) {
    const int64_t left = cols / kSpan - first;
    const int64_t spans = left < kSlabSpans ? left : kSlabSpans;
    fill_slab<kDType>(panel, cols, first, spans, slab);
    for (int64_t i = 0; i < tiles; ++i) {
      const int64_t from = tokens * i / tiles;
      const int64_t to = tokens * (i + 1) / tiles;
      All::kTable.slab[to - from](slab, first, spans, rows + from, cols, out + from * ld_out,
                                  ld_out);
    }
  }
}
