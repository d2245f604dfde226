// Sums of codes times activations by products of neighbouring pairs, for ISAs without a dot product
// of four bytes. Exact: whole numbers, and nothing overflows.

// How many products of pairs of bytes an s16 takes before it overflows; 0: not even one.
constexpr int pairs_in_s16(int max_code) {
  const int fit = 32767 / (2 * 127 * max_code);
  return fit >= 8 ? 8 : fit >= 4 ? 4 : fit >= 2 ? 2 : 0;
}

constexpr int kCodeBytes = 2;
// Whether activations are read as pairs of s16.
template <class K>
constexpr bool kWantsPairs = pairs_in_s16(K::kMaxCode) == 0;

// Tokens that a register tile takes: sums, weights and one activation fill the registers.
constexpr int slab_tokens(int max_code) {
  if (kCodeRegisters == 1) return 8;
  return pairs_in_s16(max_code) == 8 ? 6 : 4;
}
constexpr int stored_tokens(int max_code) { return slab_tokens(max_code); }
// The most tokens whose products are of two panels at once (block_stored.h).
constexpr int panel_pair_tokens(bool looks_up) {
  if (kCodeRegisters == 1) return 0;
  return looks_up ? 1 : 2;
}
constexpr int kTilePanels = 1;

// The value is made here, in a register. Compilers like to make all products of a span first and
// to add them up from the stack.
SLUICE_INLINE void made_here(CodeRegister& value) { __asm__("" : "+v"(value)); }

struct Sums {
  CodeRegister v[kCodeRegisters];  // s32 by row
};

SLUICE_INLINE void add_halves(Sums& sums, const CodeRegister (&halves)[kCodeRegisters]) {
  SLUICE_UNROLL for (int i = 0; i < kCodeRegisters; ++i) {
    sums.v[i] = add32(sums.v[i], multiply_halves(halves[i], repeat16(1)));
    made_here(sums.v[i]);
  }
}

// Pairs of s16, for codes of which two products may overflow an s16.
template <int kStep, int T, class Tokens>
SLUICE_INLINE void add_wide(const Codes& w, const Tokens& tokens, Sums (&sums)[T]) {
  CodeRegister even[kCodeRegisters], odd[kCodeRegisters];
  SLUICE_UNROLL for (int i = 0; i < kCodeRegisters; ++i) {
    even[i] = both(w.v[i], repeat16(0xff));
    odd[i] = right16<8>(w.v[i]);
  }
  SLUICE_UNROLL for (int t = 0; t < T; ++t) {
    const std::byte* four = tokens.pairs(t) + kStep * 8;
    const CodeRegister x_even = repeat32(load_s32(four));
    const CodeRegister x_odd = repeat32(load_s32(four + 4));
    SLUICE_UNROLL for (int i = 0; i < kCodeRegisters; ++i) {
      const CodeRegister product =
          add32(multiply_halves(even[i], x_even), multiply_halves(odd[i], x_odd));
      sums[t].v[i] = add32(sums[t].v[i], product);
      made_here(sums[t].v[i]);
    }
  }
}

// Two steps whose products just fit into an s16 together.
template <int kStep, int T, class Tokens>
SLUICE_INLINE void add_two(const Codes& w0, const Codes& w1, const Tokens& tokens,
                           Sums (&sums)[T]) {
  SLUICE_UNROLL for (int t = 0; t < T; ++t) {
    const std::byte* four = tokens.codes(t) + kStep * 4;
    const CodeRegister x0 = repeat32(load_s32(four));
    const CodeRegister x1 = repeat32(load_s32(four + 4));
    CodeRegister halves[kCodeRegisters];
    SLUICE_UNROLL for (int i = 0; i < kCodeRegisters; ++i) {
      halves[i] = add16(multiply_bytes(w0.v[i], x0), multiply_bytes(w1.v[i], x1));
    }
    add_halves(sums[t], halves);
  }
}

// In which order the steps of a group go: steps 0 and 4, 1 and 5 and so on of a whole span lie in
// the nibbles of one chunk (block_layout.h), which so is loaded once.
constexpr int step_at(int at, int steps) {
  return steps == kSpanSteps ? at % 2 * (kSpanSteps / 2) + at / 2 : at;
}

// out[t][0] = the float whose bits are the start and the products of the span's half `kHalf`.
template <class K, int kHalf, int T, int P, class Weights, class Tokens>
SLUICE_INLINE void dot_span(const Weights (&weights)[P], const Tokens& tokens, F16 (&out)[T][P]) {
  static_assert(P == 1, "one panel fills the registers");
  constexpr int kPairs = pairs_in_s16(K::kMaxCode);
  constexpr int kFirst = kHalf * K::kSteps, kLast = kFirst + K::kSteps;
  Sums sums[T];
  SLUICE_UNROLL for (int t = 0; t < T; ++t) {
    SLUICE_UNROLL for (int i = 0; i < kCodeRegisters; ++i) {
      sums[t].v[i] = repeat32(tokens.template start<K>(t, kHalf));
    }
  }
  if constexpr (kPairs == 0) {
    for_constants<kFirst, kLast>([&]<int kStep>(Constant<kStep> step) SLUICE_LAMBDA_INLINE {
      add_wide<kStep>(weights[0].codes(step), tokens, sums);
    });
  } else if constexpr (kPairs == 2) {
    for_constants<kFirst / 2, kLast / 2>([&]<int kPair>(Constant<kPair>) SLUICE_LAMBDA_INLINE {
      add_two<2 * kPair>(weights[0].codes(Constant<2 * kPair>()),
                         weights[0].codes(Constant<2 * kPair + 1>()), tokens, sums);
    });
  } else {
    CodeRegister halves[T][kCodeRegisters];
    for_constants<0, K::kSteps>([&]<int kAt>(Constant<kAt>) SLUICE_LAMBDA_INLINE {
      constexpr int kRun = kAt % kPairs;
      constexpr int kStep = kFirst + step_at(kAt, K::kSteps);
      const Codes w = weights[0].codes(Constant<kStep>());
      SLUICE_UNROLL for (int t = 0; t < T; ++t) {
        const CodeRegister x = repeat32(load_s32(tokens.codes(t) + kStep * 4));
        SLUICE_UNROLL for (int i = 0; i < kCodeRegisters; ++i) {
          const CodeRegister product = multiply_bytes(w.v[i], x);
          halves[t][i] = kRun == 0 ? product : add16(halves[t][i], product);
          made_here(halves[t][i]);
        }
        if constexpr (kRun == kPairs - 1 || kAt == K::kSteps - 1) add_halves(sums[t], halves[t]);
      }
    });
  }
  SLUICE_UNROLL for (int t = 0; t < T; ++t) out[t][0] = as_floats(sums[t].v);
}
