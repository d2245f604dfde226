// exp of sixteen floats: x = n ln 2 + r with |r| <= ln 2 / 2, exp(r) by its Taylor series to the
// seventh power (the rest is below a tenth of an ulp), each step one fused multiply-add, so that
// every ISA and the reference give the same bits. Results below the smallest normal float are 0.

inline F16 exp16(const F16& x) {
  const F16 magic = set(0x1.8p23f);  // added and taken away again: rounds to the nearest whole
  const F16 bounded = min(set(89.0f), max(set(-87.33654f), x));  // NaN stays
  const F16 n = sub(fma(bounded, set(0x1.715476p0f), magic), magic);
  F16 r = fma(n, set(-0x1.62e4p-1f), bounded);  // ln 2, its first 15 bits: n times it is exact
  r = fma(n, set(-0x1.7f7d1cp-20f), r);
  F16 y = set(1.0f / 5040.0f);
  y = fma(y, r, set(1.0f / 720.0f));
  y = fma(y, r, set(1.0f / 120.0f));
  y = fma(y, r, set(1.0f / 24.0f));
  y = fma(y, r, set(1.0f / 6.0f));
  y = fma(y, r, set(0.5f));
  y = fma(y, r, set(1.0f));
  y = fma(y, r, set(1.0f));
  // 2^n in two steps: n reaches 128.
  const F16 half = sub(fma(n, set(0.5f), magic), magic);
  y = mul(mul(y, power_of_two(half)), power_of_two(sub(n, half)));
  return zero_below(x, -87.33654f, y);
}
