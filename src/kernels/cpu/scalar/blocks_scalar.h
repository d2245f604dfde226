// A panel's product and a row's codes, one value at a time: the same whole numbers, the same order
// of the rounded sums as block_tile.h.

template <int kDType>
int value_of(const std::byte* span, int lane, int k) {
  constexpr tensor::BlockTraits kTraits = tensor::kBlockTraits[kDType];
  const int step = k / 4;
  const auto at = [&](int chunk) {
    return static_cast<int>(span[chunk * kChunkBytes + lane * 4 + k % 4]);
  };
  int code = 0;
  if constexpr (kTraits.code_bits == 8) {
    code = at(step);
  } else if constexpr (kTraits.code_bits < 4) {
    code = (at(step / 4) >> (step % 4 * 2)) & 3;
    if constexpr (kTraits.code_bits == 3) code |= ((at(2) >> step) & 1) << 2;
  } else {
    code = (at(step % 4) >> (step / 4 * 4)) & 15;
    if constexpr (kTraits.code_bits == 5) code |= ((at(4) >> step) & 1) << 4;
    if constexpr (kTraits.code_bits == 6) code |= ((at(4 + step / 4) >> (step % 4 * 2)) & 3) << 4;
  }
  return kTraits.values != nullptr ? kTraits.values[code] : code - kTraits.offset;
}

template <int kDType>
void one_panel(const std::byte* panel, int64_t cols, const std::byte* const* rows, int64_t tokens,
               float* out, int64_t ld_out) {
  constexpr tensor::BlockTraits kTraits = tensor::kBlockTraits[kDType];
  const std::byte* scales = panel + code_bytes(kTraits, cols);
  for (int64_t t = 0; t < tokens; ++t) {
    for (int lane = 0; lane < kPanelRows; ++lane) out[t * ld_out + lane] = 0.0f;
  }
  for (int64_t k = 0; k < cols; k += kTraits.group) {
    constexpr int64_t kUnit = scale_unit_cols(kTraits);
    const Scales<kDType> of_unit(scales, k / kUnit);
    const F16 scale = of_unit.scale(k % kUnit / kTraits.group);
    F16 min = zero();
    if constexpr (kTraits.has_min) min = of_unit.min(k % kUnit / kTraits.group);
    const std::byte* span = panel + k / kSpan * kTraits.code_bits * kChunkBytes;
    const auto first = static_cast<int>(k % kSpan);
    for (int lane = 0; lane < kPanelRows; ++lane) {
      int values[kTraits.group];
      for (int i = 0; i < kTraits.group; ++i) values[i] = value_of<kDType>(span, lane, first + i);
      for (int64_t t = 0; t < tokens; ++t) {
        const auto* codes = reinterpret_cast<const int8_t*>(rows[t]) + k;
        const auto of_row = row_word<float>(rows[t], cols, QuantizedRows::kScale, k / kSpan);
        int sum = 0;
        for (int i = 0; i < kTraits.group; ++i) sum += values[i] * codes[i];
        float& acc = out[t * ld_out + lane];
        acc = __builtin_fmaf(static_cast<float>(sum) * scale.v[lane], of_row, acc);
        if constexpr (kTraits.has_min) {
          constexpr auto kField =
              kTraits.group == kSpan ? QuantizedRows::kScaledSum : QuantizedRows::kScaledHalfSum;
          acc = __builtin_fmaf(row_word<float>(rows[t], cols, kField, k / kTraits.group),
                               min.v[lane], acc);
        }
      }
    }
  }
}

template <int kDType>
void block_panels(const PanelList& panels, int64_t cols, const std::byte* const* rows,
                  int64_t tokens, float* out, int64_t ld_out) {
  for (int64_t p = 0; p < panels.count; ++p)
    one_panel<kDType>(panels.at[p], cols, rows, tokens, out + p * kPanelRows, ld_out);
}

template <int kDType>
constexpr BlockTiles tiles_of() {
  return {1, 1, kMaxItemTokens, 1, 0, 1, 1, 1, kMaxBlockPanels, tensor::kBlockTraits[kDType].group,
          0};
}

void quantize_row(const float* x, int64_t cols, std::byte* row) {
  const float magic = 0x1.8p23f;  // added and taken away again: rounds to the nearest whole
  for (int64_t k = 0; k < cols; k += kSpan) {
    int32_t largest = 0;
    for (int i = 0; i < kSpan; ++i) {
      const int32_t bits = __builtin_bit_cast(int32_t, x[k + i]) & 0x7fffffff;
      largest = bits > largest ? bits : largest;
    }
    const SpanFactors factors = span_factors(largest);
    auto* codes = reinterpret_cast<int8_t*>(row) + k;
    auto* pairs = reinterpret_cast<int16_t*>(row + QuantizedRows::pairs_at(cols) + 2 * k);
    int32_t sums[2] = {0, 0};
    for (int i = 0; i < kSpan; ++i) {
      const float code =
          factors.inverse == 0.0f ? 0.0f : (x[k + i] * factors.inverse + magic) - magic;
      codes[i] = static_cast<int8_t>(code);
      sums[i / 16] += codes[i];
      const int place = i % 4;
      pairs[i / 4 * 4 + (place == 1 ? 2 : place == 2 ? 1 : place)] = codes[i];
    }
    fill_span(factors.scale, sums[0], sums[1], row, cols, k / kSpan);
  }
}

constexpr int32_t (*dot_loop)(int64_t rounds) = nullptr;
constexpr int64_t kDotOps = 0;
