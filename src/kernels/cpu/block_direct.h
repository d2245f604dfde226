// Products of one panel with few tokens: codes go from memory to registers and are used at once.

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

// A span of the tokens where they lie in their rows.
template <int T>
struct RowSpans {
  const std::byte* const (&rows)[T];
  int64_t cols;
  int64_t k;

  SLUICE_INLINE const std::byte* codes(int t) const { return rows[t] + k; }
  SLUICE_INLINE const std::byte* pairs(int t) const {
    return rows[t] + QuantizedRows::pairs_at(cols) + 2 * k;
  }
  template <class K>
  SLUICE_INLINE int32_t start(int, int) const {
    return 0;
  }
  template <class K>
  SLUICE_INLINE F16 centred(const F16& sum, int t, int half) const {
    if constexpr (K::kOffset == 0) return sum;
    const auto of_codes = row_word<int32_t>(rows[t], cols, field_of_sum<K>(), group<K>(half));
    return fma(set(-static_cast<float>(K::kOffset)), set(static_cast<float>(of_codes)), sum);
  }
  SLUICE_INLINE float scale(int t) const {
    return row_word<float>(rows[t], cols, QuantizedRows::kScale, k / kSpan);
  }
  template <class K>
  SLUICE_INLINE float minus_scaled_sum(int t, int half) const {
    return row_word<float>(rows[t], cols, field_of_scaled_sum<K>(), group<K>(half));
  }
  template <class K>
  SLUICE_INLINE int64_t group(int half) const {
    return k / kSpan * K::kHalves + half;
  }
};

template <int kDType, int T>
void direct_tile(const std::byte* panel, int64_t cols, const std::byte* const* rows_in, float* out,
                 int64_t ld_out) {
  using K = KindOf<kDType>;
  constexpr int64_t kSpanBytes = Format<kDType>::kTraits.code_bits * kChunkBytes;
  const Scales<kDType> scales(panel + code_bytes(Format<kDType>::kTraits, cols));
  const std::byte* rows[T];
  F16 acc[T][1];
  SLUICE_UNROLL for (int t = 0; t < T; ++t) {
    rows[t] = rows_in[t];
    acc[t][0] = zero();
  }
  for (int64_t k = 0; k < cols; k += kSpan, panel += kSpanBytes) {
    SLUICE_UNROLL for (int64_t line = 0; line < kSpanBytes; line += 64) {
      __builtin_prefetch(panel + line + kPrefetchBytes, 0, 2);
    }
    const PanelSpan<kDType> weights[1] = {{panel, scales, k / K::kGroup}};
    add_span<K, T, 1>(weights, RowSpans<T>{rows, cols, k}, acc);
  }
  SLUICE_UNROLL for (int t = 0; t < T; ++t) store(acc[t][0], out + t * ld_out);
}
