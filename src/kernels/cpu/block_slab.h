// A slab of K: the tokens' codes are gathered, each panel's are taken apart, and both then lie in
// the L1 cache while all meet all.

constexpr int kMaxBlockTile = 8;    // tokens
constexpr int64_t kSlabPanels = 4;  // at most
constexpr int kSlabSpans = 8;
constexpr int kSlabCols = kSlabSpans * kSpan;
constexpr int kSlabGroups = 2 * kSlabSpans;  // at most
constexpr int64_t kSlabTokens = (kMaxItemTokens + 15) / 16 * 16;

// A piece of a panel taken apart.
struct alignas(64) WeightSlab {
  std::byte codes[kSlabSpans * kSpanSteps * kChunkBytes];
  float scale[kSlabGroups * kPanelRows];
  float min[kSlabGroups * kPanelRows];
};

// Sends for the slabs that come next, some lines at each step with the present ones: all at once
// would fill the queues and hold up the loads.
struct Ahead {
  const std::byte* codes[kSlabPanels] = {};
  int64_t panels = 0;
  int64_t lines = 0;  // of each panel
  int64_t steps = 1;
  int64_t at_once = 0;
  int64_t rest = 0;
  int64_t credit = 0;

  SLUICE_INLINE void spread(int64_t over) {
    steps = over;
    at_once = lines / over;
    rest = lines % over;
  }
  SLUICE_INLINE void send() {
    credit += rest;
    const bool one_more = credit >= steps;
    if (one_more) credit -= steps;
    const int64_t some = at_once + (one_more ? 1 : 0);
    if (some == 0) return;
    for (int64_t p = 0; p < panels; ++p) {
      for (int64_t line = 0; line < some; ++line) __builtin_prefetch(codes[p] + line * 64, 0, 3);
      codes[p] += some * 64;
    }
  }
};

template <class Slabs, int kDType>
void fill_slab(const std::byte* panel, int64_t cols, int64_t first_span, int64_t spans,
               WeightSlab& slab, Ahead& next) {
  using F = Format<kDType>;
  const Scales<kDType> scales(panel + code_bytes(F::kTraits, cols));
  const std::byte* span = panel + first_span * F::kTraits.code_bits * kChunkBytes;
  std::byte* to = slab.codes;
  for (int64_t i = 0; i < spans; ++i, span += F::kTraits.code_bits * kChunkBytes) {
    next.send();
    for_constants<0, kSpanSteps>([&]<int kStep>(Constant<kStep>) SLUICE_LAMBDA_INLINE {
      const Codes codes = F::template codes<kStep>(span);
      SLUICE_UNROLL for (int r = 0; r < kCodeRegisters; ++r) {
        store_codes(Slabs::template codes<KindOf<kDType>>(codes.v[r]),
                    to + r * (kChunkBytes / kCodeRegisters));
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

// The scales of a slab that comes next: a few lines.
template <int kDType>
void prefetch_scales(const std::byte* panel, int64_t cols, int64_t first_span) {
  using F = Format<kDType>;
  constexpr int64_t kUnit = scale_unit_cols(F::kTraits) / kSpan;
  constexpr int64_t kUnitBytes = scale_unit_bytes(F::kTraits);
  const std::byte* scales = panel + code_bytes(F::kTraits, cols) + first_span / kUnit * kUnitBytes;
  for (int64_t at = 0; at < (kSlabSpans + kUnit - 1) / kUnit * kUnitBytes; at += 64)
    __builtin_prefetch(scales + at, 0, 2);
}

// The same piece of the tokens' rows, side by side: rows a power of two apart would share a few
// sets of the cache.
struct alignas(64) TokenSlab {
  std::byte codes[kSlabTokens * kSlabCols * kCodeBytes];  // [token][kSlabCols]
  float scale[kSlabTokens][kSlabSpans];
  int32_t start[kSlabTokens][kSlabGroups];           // -offset * sum of the codes
  float minus_scaled_sum[kSlabTokens][kSlabGroups];  // where there is a minimum
};

// Whole eights of words are copied: what lies behind the row's last span is of no use, and there.
template <class Slabs, class K>
void gather(const std::byte* const* rows, int64_t tokens, int64_t cols, int64_t first_span,
            int64_t spans, TokenSlab& slab) {
  constexpr int kBytes = kWantsPairs<K> ? 2 : 1;
  constexpr int kEights = K::kHalves * kSlabSpans / 8;
  const int64_t codes_at =
      (kWantsPairs<K> ? QuantizedRows::pairs_at(cols) : 0) + first_span * kSpan * kBytes;
  const int64_t scale_at = QuantizedRows::field_at(cols, QuantizedRows::kScale) + first_span * 4;
  const int64_t group_at = first_span * K::kHalves * 4;
  for (int64_t t = 0; t < tokens; ++t) {
    std::byte* to = slab.codes + t * kSlabCols * kBytes;
    for (int64_t i = 0; i < spans * kBytes; ++i)
      copy_span(rows[t] + codes_at + i * kSpan, to + i * kSpan);
    copy_eight(rows[t] + scale_at, slab.scale[t]);
    SLUICE_UNROLL for (int i = 0; i < kEights; ++i) {
      if constexpr (Slabs::kKeepsOffset && K::kOffset != 0) {
        const int64_t at = QuantizedRows::field_at(cols, field_of_sum<K>()) + group_at;
        multiply_eight(rows[t] + at + i * 32, -K::kOffset, slab.start[t] + i * 8);
      }
      if constexpr (K::kHasMin) {
        const int64_t at = QuantizedRows::field_at(cols, field_of_scaled_sum<K>()) + group_at;
        copy_eight(rows[t] + at + i * 32, slab.minus_scaled_sum[t] + i * 8);
      }
    }
  }
}
