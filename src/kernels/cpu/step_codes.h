// A step's codes out of a span's chunks (block_layout.h). Include after an ISA's codes.h.

struct Codes {
  CodeRegister v[kCodeRegisters];  // u8 [16 rows][4 values of K]
};

template <int kValue>
struct Constant {};

// f(Constant<kFirst>()) to f(Constant<kLast - 1>()), unrolled.
template <int kFirst, int kLast, class F>
SLUICE_INLINE void for_constants(const F& f) {
  if constexpr (kFirst < kLast) {
    f(Constant<kFirst>());
    for_constants<kFirst + 1, kLast>(f);
  }
}

SLUICE_INLINE Codes load_chunk(const std::byte* chunk) {
  Codes r;
  SLUICE_UNROLL for (int i = 0; i < kCodeRegisters; ++i) {
    r.v[i] = load_codes(chunk + i * (kChunkBytes / kCodeRegisters));
  }
  return r;
}

// The bits of `kMask` after a shift to the right (to the left, if negative). Shifts work on 16
// bits: what crosses from one byte into the other falls outside of the mask.
template <int kShift, int kMask>
SLUICE_INLINE Codes field(const Codes& chunk) {
  Codes r;
  SLUICE_UNROLL for (int i = 0; i < kCodeRegisters; ++i) {
    CodeRegister shifted = chunk.v[i];
    if constexpr (kShift > 0) shifted = right16<kShift>(shifted);
    if constexpr (kShift < 0) shifted = left16<-kShift>(shifted);
    r.v[i] = both(shifted, repeat8(kMask));
  }
  return r;
}

SLUICE_INLINE Codes joined(const Codes& a, const Codes& b) {
  Codes r;
  SLUICE_UNROLL for (int i = 0; i < kCodeRegisters; ++i) r.v[i] = either(a.v[i], b.v[i]);
  return r;
}

template <int kBits, int kStep>
SLUICE_INLINE Codes stored_codes(const std::byte* span) {
  const auto chunk = [span](int index)
                         SLUICE_LAMBDA_INLINE { return load_chunk(span + index * kChunkBytes); };
  if constexpr (kBits == 8) {
    return chunk(kStep);
  } else if constexpr (kBits == 2 || kBits == 3) {
    const Codes low = field<kStep % 4 * 2, 0x03>(chunk(kStep / 4));
    if constexpr (kBits == 2) return low;
    if constexpr (kBits == 3) return joined(low, field<kStep - 2, 0x04>(chunk(2)));
  } else {
    const Codes low = field<kStep / 4 * 4, 0x0f>(chunk(kStep % 4));
    if constexpr (kBits == 4) return low;
    if constexpr (kBits == 5) return joined(low, field<kStep - 4, 0x10>(chunk(4)));
    if constexpr (kBits == 6) {
      return joined(low, field<kStep % 4 * 2 - 4, 0x30>(chunk(4 + kStep / 4)));
    }
  }
}

// What the products see of a format: unsigned bytes that stand for value + offset.
template <int kDType>
struct Format {
  static constexpr tensor::BlockTraits kTraits = tensor::kBlockTraits[kDType];
  static constexpr bool kLooksUp = kTraits.values != nullptr;
  static constexpr int kGroup = kTraits.group;
  static constexpr bool kHasMin = kTraits.has_min;

  static constexpr int lowest() {
    int low = 0;
    for (int c = 0; kLooksUp && c < 16; ++c)
      low = kTraits.values[c] < low ? kTraits.values[c] : low;
    return low;
  }
  static constexpr int highest() {
    int high = 0;
    for (int c = 0; kLooksUp && c < 16; ++c)
      high = kTraits.values[c] > high ? kTraits.values[c] : high;
    return high;
  }
  // Values of eight bits are all moved to the middle, so that formats share their inner loops.
  static constexpr int kOffset = !kLooksUp ? kTraits.offset : lowest() < -64 ? 128 : -lowest();
  static constexpr int kMaxCode =
      kLooksUp ? (kOffset == 128 ? 255 : highest() + kOffset) : (1 << kTraits.code_bits) - 1;

  struct Table {
    int8_t bytes[16];
  };
  static constexpr Table shifted_values() {
    Table table{};
    for (int c = 0; kLooksUp && c < 16; ++c)
      table.bytes[c] = static_cast<int8_t>(kTraits.values[c] + kOffset);
    return table;
  }
  static constexpr Table kTable = shifted_values();

  template <int kStep>
  static SLUICE_INLINE Codes codes(const std::byte* span) {
    Codes r = stored_codes<kTraits.code_bits, kStep>(span);
    if constexpr (kLooksUp) {
      SLUICE_UNROLL for (int i = 0; i < kCodeRegisters; ++i) {
        r.v[i] = look_up(repeat_table(kTable.bytes), r.v[i]);
      }
    }
    return r;
  }
};
