// Sixteen floats as the inner loops see them: one register of AVX-512, two of AVX2. The same names,
// and the same bits, as lanes_scalar.h. Include inside the namespace of an ISA, after highway.h.

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::CappedTag<float, 16>;
using Part = hn::Vec<D>;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(D()));
constexpr int kParts = 16 / kLanes;
static_assert(kLanes == kRegisterFloats, "Highway compiles for the ISA that the flags name");

struct F16 {
  Part v[kParts];
};

#define SLUICE_PARTS(expression)                        \
  F16 r;                                                \
  SLUICE_UNROLL                                         \
  for (int i = 0; i < kParts; ++i) r.v[i] = expression; \
  return r

HWY_INLINE F16 set(float value) { SLUICE_PARTS(hn::Set(D(), value)); }
HWY_INLINE F16 zero() { SLUICE_PARTS(hn::Zero(D())); }
HWY_INLINE F16 load(const float* from) { SLUICE_PARTS(hn::LoadU(D(), from + i * kLanes)); }
HWY_INLINE void store(const F16& a, float* to) {
  SLUICE_UNROLL for (int i = 0; i < kParts; ++i) hn::StoreU(a.v[i], D(), to + i * kLanes);
}

HWY_INLINE F16 fma(const F16& a, const F16& b, const F16& c) {
  SLUICE_PARTS(hn::MulAdd(a.v[i], b.v[i], c.v[i]));
}
HWY_INLINE F16 add(const F16& a, const F16& b) { SLUICE_PARTS(hn::Add(a.v[i], b.v[i])); }
HWY_INLINE F16 sub(const F16& a, const F16& b) { SLUICE_PARTS(hn::Sub(a.v[i], b.v[i])); }
HWY_INLINE F16 mul(const F16& a, const F16& b) { SLUICE_PARTS(hn::Mul(a.v[i], b.v[i])); }
HWY_INLINE F16 div(const F16& a, const F16& b) { SLUICE_PARTS(hn::Div(a.v[i], b.v[i])); }
// b where either is NaN.
HWY_INLINE F16 max(const F16& a, const F16& b) { SLUICE_PARTS(hn::Max(a.v[i], b.v[i])); }
HWY_INLINE F16 min(const F16& a, const F16& b) { SLUICE_PARTS(hn::Min(a.v[i], b.v[i])); }

// The largest lane; which of equals, or of NaN, is not said.
HWY_INLINE float max_of_lanes(const F16& a) {
  Part top = a.v[0];
  SLUICE_UNROLL for (int i = 1; i < kParts; ++i) top = hn::Max(top, a.v[i]);
  return hn::GetLane(hn::MaxOfLanes(D(), top));
}

using DInt = hn::RebindToSigned<D>;

// 2^n of whole n in [-126, 127].
HWY_INLINE F16 power_of_two(const F16& n) {
  SLUICE_PARTS(hn::BitCast(
      D(), hn::ShiftLeft<23>(hn::Add(hn::ConvertTo(DInt(), n.v[i]), hn::Set(DInt(), 127)))));
}
// 0 where x < limit, else y.
HWY_INLINE F16 zero_below(const F16& x, float limit, const F16& y) {
  SLUICE_PARTS(hn::IfThenZeroElse(hn::Lt(x.v[i], hn::Set(D(), limit)), y.v[i]));
}
// The first n lanes of a, `other` in the rest.
HWY_INLINE F16 keep_first(const F16& a, int64_t n, float other) {
  const auto count = hn::Set(DInt(), static_cast<int32_t>(n));
  SLUICE_PARTS(hn::IfThenElse(
      hn::RebindMask(D(), hn::Lt(hn::Iota(DInt(), static_cast<int32_t>(i * kLanes)), count)),
      a.v[i], hn::Set(D(), other)));
}

using DBits = hn::RebindToUnsigned<D>;
using DHalf = hn::Rebind<hwy::float16_t, D>;

// Weights of one group of K, widened exactly.
HWY_INLINE F16 load_bf16_even(const std::byte* from) {
  const auto* pairs = reinterpret_cast<const uint32_t*>(from);
  SLUICE_PARTS(hn::BitCast(D(), hn::ShiftLeft<16>(hn::LoadU(DBits(), pairs + i * kLanes))));
}
HWY_INLINE F16 load_bf16_odd(const std::byte* from) {
  const auto* pairs = reinterpret_cast<const uint32_t*>(from);
  SLUICE_PARTS(hn::BitCast(
      D(), hn::And(hn::LoadU(DBits(), pairs + i * kLanes), hn::Set(DBits(), 0xffff0000u))));
}
// The nearest bf16, halves to even; what is below the smallest normal float becomes 0.
HWY_INLINE F16 round_to_bf16(const F16& a) {
  const auto top = hn::Set(DBits(), 0xffff0000u);
  F16 r;
  SLUICE_UNROLL for (int i = 0; i < kParts; ++i) {
    const auto bits = hn::BitCast(DBits(), a.v[i]);
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(DBits(), 1));
    const auto near = hn::Add(bits, hn::Add(odd, hn::Set(DBits(), 0x7fffu)));
    const auto quiet = hn::Or(bits, hn::Set(DBits(), 0x400000u));
    const auto size = hn::BitCast(DInt(), hn::And(bits, hn::Set(DBits(), 0x7fffffffu)));
    const auto none = hn::RebindMask(DBits(), hn::Gt(size, hn::Set(DInt(), 0x7f800000)));
    const auto tiny = hn::RebindMask(DBits(), hn::Lt(size, hn::Set(DInt(), 0x00800000)));
    const auto rounded = hn::And(hn::IfThenElse(none, quiet, near), top);
    const auto sign = hn::And(bits, hn::Set(DBits(), 0x80000000u));
    r.v[i] = hn::BitCast(D(), hn::IfThenElse(tiny, sign, rounded));
  }
  return r;
}
using DShort = hn::Rebind<uint16_t, D>;
HWY_INLINE F16 load_bf16(const std::byte* from) {
  const auto* bits = reinterpret_cast<const uint16_t*>(from);
  SLUICE_PARTS(hn::BitCast(
      D(), hn::ShiftLeft<16>(hn::PromoteTo(DBits(), hn::LoadU(DShort(), bits + i * kLanes)))));
}
HWY_INLINE F16 load_half(const std::byte* from) {
  const auto* halves = reinterpret_cast<const hwy::float16_t*>(from);
  SLUICE_PARTS(hn::PromoteTo(D(), hn::LoadU(DHalf(), halves + i * kLanes)));
}

// Whole numbers of eight bits as floats.
using DByte = hn::Rebind<uint8_t, D>;
using DSignedByte = hn::Rebind<int8_t, D>;
HWY_INLINE F16 load_u8(const std::byte* from) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(from);
  SLUICE_PARTS(hn::ConvertTo(D(), hn::PromoteTo(DInt(), hn::LoadU(DByte(), bytes + i * kLanes))));
}
HWY_INLINE F16 load_s8(const std::byte* from) {
  const auto* bytes = reinterpret_cast<const int8_t*>(from);
  SLUICE_PARTS(
      hn::ConvertTo(D(), hn::PromoteTo(DInt(), hn::LoadU(DSignedByte(), bytes + i * kLanes))));
}
HWY_INLINE F16 load_low_nibbles(const std::byte* from) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(from);
  SLUICE_PARTS(hn::ConvertTo(
      D(),
      hn::And(hn::PromoteTo(DInt(), hn::LoadU(DByte(), bytes + i * kLanes)), hn::Set(DInt(), 15))));
}
HWY_INLINE F16 load_high_nibbles(const std::byte* from) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(from);
  SLUICE_PARTS(hn::ConvertTo(
      D(), hn::ShiftRight<4>(hn::PromoteTo(DInt(), hn::LoadU(DByte(), bytes + i * kLanes)))));
}
// 2^(e - 128) of exponent bytes: a bit further down the mantissa below the normal floats.
HWY_INLINE F16 load_e8m0_half(const std::byte* from) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(from);
  // 2^(e - 127), of which 0 is 2^-127 too, is halved: by the exponent's last bit or, below, all.
  const auto smallest = hn::Set(DInt(), 0x00400000);
  const auto last_bit = hn::Set(DInt(), 0x00800000);
  F16 r;
  SLUICE_UNROLL for (int i = 0; i < kParts; ++i) {
    const auto e = hn::PromoteTo(DInt(), hn::LoadU(DByte(), bytes + i * kLanes));
    const auto whole = hn::Max(hn::ShiftLeft<23>(e), smallest);
    const auto bits = hn::Sub(whole, hn::Min(hn::ShiftRight<1>(whole), last_bit));
    r.v[i] = hn::BitCast(D(), bits);
  }
  return r;
}

#undef SLUICE_PARTS
