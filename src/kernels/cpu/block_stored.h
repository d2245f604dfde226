// Products of few tokens straight from panels as they are stored: codes that are used a few times
// are not worth being taken apart into the cache first. One panel after the other, from end to end:
// memory is fastest where it is read in one run.

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

// A panel, and the one that comes next. Codes are sent for ahead of their loads, scales, of which
// there are few, by the panel before.
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
  SLUICE_INLINE void send_codes_ahead(int64_t span) const {
    const int64_t ahead = span * kSpanBytes + ahead_in_weights(1);
    const std::byte* const from = ahead < codes ? panel + ahead : next + (ahead - codes);
    SLUICE_UNROLL for (int64_t at = 0; at < kSpanBytes; at += 64) send_for(from + at);
  }
  SLUICE_INLINE void send_scales_ahead(int64_t unit) const {
    SLUICE_UNROLL for (int64_t at = 0; at < kUnitBytes; at += 64)
        send_for(next + codes + unit * kUnitBytes + at);
  }
};

// out[t] = the panel times T tokens; sends for what comes next if so.
template <int kDType, int T>
void stored_panel(const StoredPanel<kDType>& stored, int64_t cols, const std::byte* const* rows,
                  float* out, int64_t ld_out, bool sends) {
  using K = KindOf<kDType>;
  constexpr int64_t kUnitSpans = StoredPanel<kDType>::kUnitSpans;
  F16 acc[T][1];
  SLUICE_UNROLL for (int t = 0; t < T; ++t) acc[t][0] = zero();
  for (int64_t unit = 0; unit * kUnitSpans < cols / kSpan; ++unit) {
    const Scales<kDType> scales(stored.panel + stored.codes, unit);
    if (sends) stored.send_scales_ahead(unit);
    for (int64_t i = 0; i < kUnitSpans; ++i) {
      const int64_t span = unit * kUnitSpans + i;
      if (sends) stored.send_codes_ahead(span);
      const StoredSpan<kDType> weights[1] = {{stored.span(span), scales, i * K::kHalves}};
      add_span<K, T, 1>(weights, StoredTokens{rows, cols, span}, acc);
    }
  }
  SLUICE_UNROLL for (int t = 0; t < T; ++t) store(acc[t][0], out + t * ld_out);
}

// The same of any number up to T.
template <int kDType, int T = kStoredTile<KindOf<kDType>>>
SLUICE_INLINE void some_tokens(int64_t tokens, const StoredPanel<kDType>& stored, int64_t cols,
                               const std::byte* const* rows, float* out, int64_t ld_out,
                               bool sends) {
  if constexpr (T > 0) {
    if (tokens == T) return stored_panel<kDType, T>(stored, cols, rows, out, ld_out, sends);
    some_tokens<kDType, T - 1>(tokens, stored, cols, rows, out, ld_out, sends);
  }
}

// Of more than a tile's tokens the second half finds the panel in the cache.
template <int kDType>
void by_stored_panels(const PanelList& panels, int64_t cols, const std::byte* const* rows,
                      int64_t tokens, float* out, int64_t ld_out) {
  const int64_t first = tokens <= kStoredTile<KindOf<kDType>> ? tokens : (tokens + 1) / 2;
  for (int64_t p = 0; p < panels.count; ++p, out += kPanelRows) {
    const std::byte* const after = panels.next_count > 0 ? panels.next[0] : panels.at[p];
    const StoredPanel<kDType> stored = {panels.at[p],
                                        p + 1 < panels.count ? panels.at[p + 1] : after,
                                        code_bytes(StoredPanel<kDType>::kTraits, cols)};
    some_tokens<kDType>(first, stored, cols, rows, out, ld_out, true);
    some_tokens<kDType>(tokens - first, stored, cols, rows + first, out + first * ld_out, ld_out,
                        false);
  }
}
