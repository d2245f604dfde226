// A slab of K: the tokens' codes are gathered, each panel's are taken apart, and both then lie in
// the L1 cache while all meet all.

constexpr int kMaxBlockTile = 8;    // tokens
constexpr int64_t kSlabPanels = 4;  // at most
constexpr int64_t kStreams = 4;     // of lines that are sent for
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

// Sends for the slabs that come next, some rounds at each step with the present ones: all at once
// would fill the queues and hold up the loads. A round is one line of each stream, since the
// hardware reads ahead in each: a panel, or a part where there are fewer.
struct Ahead {
  const std::byte* codes[kStreams] = {};
  int64_t rounds = 0;
  int64_t steps = 1;
  int64_t at_once = 0;
  int64_t rest = 0;
  int64_t credit = 0;

  SLUICE_INLINE void spread(int64_t over) {
    steps = over;
    at_once = rounds / over;
    rest = rounds % over;
  }
  SLUICE_INLINE void send() {
    credit += rest;
    const bool one_more = credit >= steps;
    if (one_more) credit -= steps;
    for (int64_t i = at_once + (one_more ? 1 : 0); i > 0; --i) {
      SLUICE_UNROLL for (int64_t p = 0; p < kStreams; ++p) {
        __builtin_prefetch(codes[p], 0, 3);
        codes[p] += 64;
      }
    }
  }
};

// Takes a slab apart, and lets `next` send every so many spans.
template <class Slabs, int kDType>
void fill_slab(const std::byte* panel, int64_t cols, int64_t first_span, int64_t spans,
               WeightSlab& slab, Ahead& next, int64_t send_every) {
  using F = Format<kDType>;
  const std::byte* span = panel + first_span * F::kTraits.code_bits * kChunkBytes;
  std::byte* to = slab.codes;
  for (int64_t i = 0; i < spans; ++i, span += F::kTraits.code_bits * kChunkBytes) {
    if (i % send_every == 0) next.send();
    for_constants<0, kSpanSteps>([&]<int kStep>(Constant<kStep>) SLUICE_LAMBDA_INLINE {
      const Codes codes = F::template codes<kStep>(span);
      SLUICE_UNROLL for (int r = 0; r < kCodeRegisters; ++r) {
        store_codes(Slabs::codes(codes.v[r]), to + r * (kChunkBytes / kCodeRegisters));
      }
      to += kChunkBytes;
    });
  }
  // A slab is whole units.
  constexpr int64_t kGroups = Scales<kDType>::kGroups;
  constexpr int64_t kUnitSpans = scale_unit_cols(F::kTraits) / kSpan;
  const std::byte* scales = panel + code_bytes(F::kTraits, cols);
  for (int64_t unit = 0; unit < spans / kUnitSpans; ++unit) {
    const Scales<kDType> of_unit(scales, first_span / kUnitSpans + unit);
    float* scale = slab.scale + unit * kGroups * kPanelRows;
    float* min = slab.min + unit * kGroups * kPanelRows;
    SLUICE_UNROLL for (int64_t g = 0; g < kGroups; ++g) {
      store(of_unit.scale(g), scale + g * kPanelRows);
      if constexpr (F::kHasMin) store(of_unit.min(g), min + g * kPanelRows);
    }
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
  int32_t start[kSlabTokens][kSlabGroups];           // kBiasBits - offset * sum of the codes
  float minus_scaled_sum[kSlabTokens][kSlabGroups];  // where there is a minimum
};

// Whole eights of words are copied: what lies behind the row's last span is of no use, and there.
template <class Slabs>
void gather(const std::byte* const* rows, int64_t tokens, int64_t cols, int64_t first_span,
            int64_t spans, TokenSlab& slab) {
  using K = typename Slabs::Kind;
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
        multiply_eight(rows[t] + at + i * 32, -K::kOffset, kBiasBits, slab.start[t] + i * 8);
      }
      if constexpr (K::kHasMin) {
        const int64_t at = QuantizedRows::field_at(cols, field_of_scaled_sum<K>()) + group_at;
        copy_eight(rows[t] + at + i * 32, slab.minus_scaled_sum[t] + i * 8);
      }
    }
  }
}
