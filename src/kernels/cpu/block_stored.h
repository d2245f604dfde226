// Products of few tokens straight from panels as they are stored: codes that are used a few times
// are not worth being taken apart into the cache first. Panels go by from end to end, one after the
// other or, up to an ISA's panel_pair_tokens(), two at once.

// Tokens of a tile.
template <class K>
constexpr int kStoredTile = stored_tokens(K::kMaxCode);

// Codes and scales of one span.
template <int kDType>
struct StoredSpan {
  const std::byte* span;
  const Scales<kDType>& scales;
  int64_t first_group;

  template <int kStep>
  SLUICE_INLINE Codes codes(Constant<kStep>) const {
    return Format<kDType>::template codes<kStep>(span);
  }
  SLUICE_INLINE F16 scale(int half) const { return scales.scale(first_group + half); }
  SLUICE_INLINE F16 min(int half) const { return scales.min(first_group + half); }
};

// A span of the tokens' rows.
struct StoredTokens {
  const std::byte* const* rows;
  int64_t cols;
  int64_t span;

  SLUICE_INLINE const std::byte* codes(int t) const { return rows[t] + span * kSpan; }
  SLUICE_INLINE const std::byte* pairs(int t) const {
    return rows[t] + QuantizedRows::pairs_at(cols) + span * kSpan * 2;
  }
  template <class K>
  SLUICE_INLINE int32_t start(int t, int half) const {
    if constexpr (K::kOffset == 0) return kBiasBits;
    return kBiasBits - K::kOffset * row_word<int32_t>(rows[t], cols, field_of_sum<K>(),
                                                      span * K::kHalves + half);
  }
  SLUICE_INLINE float scale(int t) const {
    return row_word<float>(rows[t], cols, QuantizedRows::kScale, span);
  }
  template <class K>
  SLUICE_INLINE float minus_scaled_sum(int t, int half) const {
    return row_word<float>(rows[t], cols, field_of_scaled_sum<K>(), span * K::kHalves + half);
  }
};

// A panel, and the one that comes after it, or after those beside it. Codes are sent for ahead of
// their loads, scales, of which there are few, by the panel before.
template <int kDType>
struct StoredPanel {
  static constexpr tensor::BlockTraits kTraits = tensor::kBlockTraits[kDType];
  static constexpr int64_t kSpanBytes = kTraits.code_bits * kChunkBytes;
  static constexpr int64_t kUnitSpans = scale_unit_cols(kTraits) / kSpan;
  static constexpr int64_t kUnitBytes = scale_unit_bytes(kTraits);

  const std::byte* panel;
  const std::byte* next;
  int64_t codes;  // bytes

  SLUICE_INLINE const std::byte* span(int64_t at) const { return panel + at * kSpanBytes; }
  template <int kPanels>
  SLUICE_INLINE void send_codes_ahead(int64_t span) const {
    const int64_t ahead = span * kSpanBytes + ahead_in_block_weights(kPanels);
    const std::byte* const from = ahead < codes ? panel + ahead : next + (ahead - codes);
    SLUICE_UNROLL for (int64_t at = 0; at < kSpanBytes; at += 64) send_for(from + at);
  }
  SLUICE_INLINE void send_scales_ahead(int64_t unit) const {
    SLUICE_UNROLL for (int64_t at = 0; at < kUnitBytes; at += 64)
        send_for(next + codes + unit * kUnitBytes + at);
  }
};

// out[t] = P panels times T tokens; sends for what comes next if so.
template <int kDType, int T, int P>
void stored_panels(const StoredPanel<kDType> (&stored)[P], int64_t cols,
                   const std::byte* const* rows, float* out, int64_t ld_out, bool sends) {
  using K = KindOf<kDType>;
  constexpr int64_t kUnitSpans = StoredPanel<kDType>::kUnitSpans;
  F16 acc[P][T][1];
  SLUICE_UNROLL for (int p = 0; p < P; ++p) {
    SLUICE_UNROLL for (int t = 0; t < T; ++t) acc[p][t][0] = zero();
  }
  for (int64_t unit = 0; unit * kUnitSpans < cols / kSpan; ++unit) {
    Scales<kDType> scales[P];
    SLUICE_UNROLL for (int p = 0; p < P; ++p) {
      scales[p] = Scales<kDType>(stored[p].panel + stored[p].codes, unit);
      if (sends) stored[p].send_scales_ahead(unit);
    }
    for (int64_t i = 0; i < kUnitSpans; ++i) {
      const int64_t span = unit * kUnitSpans + i;
      SLUICE_UNROLL for (int p = 0; p < P; ++p) {
        if (sends) stored[p].template send_codes_ahead<P>(span);
        const StoredSpan<kDType> weights[1] = {{stored[p].span(span), scales[p], i * K::kHalves}};
        add_span<K, T, 1>(weights, StoredTokens{rows, cols, span}, acc[p]);
      }
    }
  }
  SLUICE_UNROLL for (int p = 0; p < P; ++p) {
    SLUICE_UNROLL for (int t = 0; t < T; ++t)
        store(acc[p][t][0], out + t * ld_out + p * kPanelRows);
  }
}

// The panels of a list, each with what comes after it.
template <int kDType>
struct StoredList {
  const PanelList& list;
  int64_t cols;

  SLUICE_INLINE const std::byte* at(int64_t panel) const {
    if (panel < list.count) return list.at[panel];
    const int64_t next = panel - list.count;
    return next < list.next_count ? list.next[next] : list.at[list.count - 1];
  }
  SLUICE_INLINE StoredPanel<kDType> panel(int64_t panel, int at_once) const {
    return {list.at[panel], at(panel + at_once), code_bytes(StoredPanel<kDType>::kTraits, cols)};
  }
};

// P panels times any number of tokens up to T.
template <int kDType, int T, int P>
SLUICE_INLINE void some_tokens(int64_t tokens, const StoredPanel<kDType> (&stored)[P], int64_t cols,
                               const std::byte* const* rows, float* out, int64_t ld_out,
                               bool sends) {
  if constexpr (T > 0) {
    if (tokens == T) return stored_panels<kDType, T, P>(stored, cols, rows, out, ld_out, sends);
    some_tokens<kDType, T - 1, P>(tokens, stored, cols, rows, out, ld_out, sends);
  }
}

// Of more than a tile's tokens the second half finds the panel in the cache.
template <int kDType>
void by_stored_panels(const PanelList& panels, int64_t cols, const std::byte* const* rows,
                      int64_t tokens, float* out, int64_t ld_out) {
  constexpr int kTile = kStoredTile<KindOf<kDType>>;
  const StoredList<kDType> list{panels, cols};
  int64_t p = 0;
  constexpr int kPairTokens = panel_pair_tokens(Format<kDType>::kLooksUp);
  if constexpr (kPairTokens > 0) {
    for (; tokens <= kPairTokens && p + 2 <= panels.count; p += 2) {
      const StoredPanel<kDType> two[2] = {list.panel(p, 2), list.panel(p + 1, 2)};
      some_tokens<kDType, kPairTokens>(tokens, two, cols, rows, out + p * kPanelRows, ld_out, true);
    }
  }
  const int64_t first = tokens <= kTile ? tokens : (tokens + 1) / 2;
  for (; p < panels.count; ++p) {
    const StoredPanel<kDType> one[1] = {list.panel(p, 1)};
    float* to = out + p * kPanelRows;
    some_tokens<kDType, kTile>(first, one, cols, rows, to, ld_out, true);
    some_tokens<kDType, kTile>(tokens - first, one, cols, rows + first, to + first * ld_out, ld_out,
                               false);
  }
}
