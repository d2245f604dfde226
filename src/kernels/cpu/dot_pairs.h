// Sums of codes times activations by products of neighbouring pairs, for ISAs without a dot product
// of four bytes. Exact: whole numbers, and nothing overflows.

// How many products of pairs of bytes an s16 takes before it overflows; 0: not even one.
constexpr int pairs_in_s16(int max_code) {
  const int fit = 32767 / (2 * 127 * max_code);
  return fit >= 8 ? 8 : fit >= 4 ? 4 : fit >= 2 ? 2 : 0;
}

// Tokens that a register tile takes: sums, weights and one activation fill the registers.
constexpr int block_tile_tokens(int max_code) {
  if (kCodeRegisters == 1) return 8;
  return pairs_in_s16(max_code) == 8 ? 6 : 4;
}

struct Sums {
  CodeRegister v[kCodeRegisters];  // s32 by row
};

SLUICE_INLINE void add_halves(Sums& sums, const CodeRegister (&halves)[kCodeRegisters],
                              bool first) {
  SLUICE_UNROLL for (int i = 0; i < kCodeRegisters; ++i) {
    const CodeRegister wide = multiply_halves(halves[i], repeat16(1));
    sums.v[i] = first ? wide : add32(sums.v[i], wide);
  }
}

// sums[t] = sum over the steps [kFirst, kLast) of a span; `codes(Constant<s>())` gives a step's.
// `rows[t]` is the token's row, `k` the first value of the span.
template <int kMaxCode, int kFirst, int kLast, int T, class StepCodes>
SLUICE_INLINE void dot_span(const StepCodes& codes, const std::byte* const (&rows)[T], int64_t cols,
                            int64_t k, F16 (&out)[T]) {
  constexpr int kPairs = pairs_in_s16(kMaxCode);
  Sums sums[T];
  if constexpr (kPairs == 0) {
    for_constants<kFirst, kLast>([&]<int kStep>(Constant<kStep>) SLUICE_LAMBDA_INLINE {
      const Codes w = codes(Constant<kStep>());
      CodeRegister even[kCodeRegisters], odd[kCodeRegisters];
      SLUICE_UNROLL for (int i = 0; i < kCodeRegisters; ++i) {
        even[i] = both(w.v[i], repeat16(0xff));
        odd[i] = right16<8>(w.v[i]);
      }
      SLUICE_UNROLL for (int t = 0; t < T; ++t) {
        const std::byte* four = rows[t] + 2 * (cols + k) + kStep * 8;
        const CodeRegister x_even = repeat32(load_s32(four));
        const CodeRegister x_odd = repeat32(load_s32(four + 4));
        SLUICE_UNROLL for (int i = 0; i < kCodeRegisters; ++i) {
          const CodeRegister product =
              add32(multiply_halves(even[i], x_even), multiply_halves(odd[i], x_odd));
          sums[t].v[i] = kStep == kFirst ? product : add32(sums[t].v[i], product);
        }
      }
    });
  } else if constexpr (kPairs == 2) {
    for_constants<kFirst / 2, kLast / 2>([&]<int kPair>(Constant<kPair>) SLUICE_LAMBDA_INLINE {
      const Codes w0 = codes(Constant<2 * kPair>());
      const Codes w1 = codes(Constant<2 * kPair + 1>());
      SLUICE_UNROLL for (int t = 0; t < T; ++t) {
        const std::byte* four = rows[t] + k + kPair * 8;
        const CodeRegister x0 = repeat32(load_s32(four));
        const CodeRegister x1 = repeat32(load_s32(four + 4));
        CodeRegister halves[kCodeRegisters];
        SLUICE_UNROLL for (int i = 0; i < kCodeRegisters; ++i) {
          halves[i] = add16(multiply_bytes(w0.v[i], x0), multiply_bytes(w1.v[i], x1));
        }
        add_halves(sums[t], halves, 2 * kPair == kFirst);
      }
    });
  } else {
    CodeRegister halves[T][kCodeRegisters];
    for_constants<kFirst, kLast>([&]<int kStep>(Constant<kStep>) SLUICE_LAMBDA_INLINE {
      constexpr int kRun = (kStep - kFirst) % kPairs;
      const Codes w = codes(Constant<kStep>());
      SLUICE_UNROLL for (int t = 0; t < T; ++t) {
        const CodeRegister x = repeat32(load_s32(rows[t] + k + kStep * 4));
        SLUICE_UNROLL for (int i = 0; i < kCodeRegisters; ++i) {
          const CodeRegister product = multiply_bytes(w.v[i], x);
          halves[t][i] = kRun == 0 ? product : add16(halves[t][i], product);
        }
        if constexpr (kRun == kPairs - 1 || kStep == kLast - 1) {
          add_halves(sums[t], halves[t], kStep - kRun == kFirst);
        }
      }
    });
  }
  SLUICE_UNROLL for (int t = 0; t < T; ++t) out[t] = to_floats(sums[t].v);
}
