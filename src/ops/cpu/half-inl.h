// FP16 states in vectors: conversion, the noise of their rounding, and the rounding itself, as formats/element.h and
// base/philox.h define them.

#if defined(NEMOTRON_HALF_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef NEMOTRON_HALF_INL_H
#undef NEMOTRON_HALF_INL_H
#else
#define NEMOTRON_HALF_INL_H
#endif

#include "base/philox.h"
#include "ops/cpu/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nemotron::HWY_NAMESPACE {
namespace {

using D32 = hn::Rebind<uint32_t, D>;
using D16 = hn::Rebind<uint16_t, D>;
using U = hn::Vec<D32>;

constexpr uint32_t kHalfBias = 112u << 23;      // between the exponents of float32 and FP16, in place
constexpr uint32_t kHalfNormal = 0x38800000;    // 2^-14, the least normal FP16 number
constexpr uint32_t kHalfInfinite = 143u << 23;  // 2^16, which FP16 has no number for
constexpr uint32_t kInfinity = 0x7F800000, kNan = 0x7FC00000, kMagnitude = 0x7FFFFFFF;

// a >= least, for magnitudes: as signed numbers they compare alike, and every target has that comparison.
HWY_INLINE auto at_least(U a, uint32_t least) {
  const hn::RebindToSigned<D> d;
  return hn::RebindMask(D32(), hn::Gt(hn::BitCast(d, a), hn::Set(d, int32_t(least - 1))));
}

// kWidth codes as floats. Where there is a fused multiply-add there is a conversion too.
template <class Code>  // a template only so that the branch of another target is not compiled
HWY_INLINE V load_half(const Code* codes) {
  const D d;
  const D16 d16;
  if constexpr (kNativeFma) {
    return hn::PromoteTo(d, hn::BitCast(hn::Rebind<hwy::float16_t, D>(), hn::LoadU(d16, codes)));
  } else {
    const D32 d32;
    const U code = hn::PromoteTo(d32, hn::LoadU(d16, codes));
    const U magnitude = hn::And(code, hn::Set(d32, 0x7FFF)), sign = hn::ShiftLeft<16>(hn::Xor(code, magnitude));
    const U shifted = hn::Add(hn::ShiftLeft<13>(magnitude), hn::Set(d32, kHalfBias));
    const U special = hn::Add(shifted, hn::Set(d32, kHalfBias));
    const V counted = hn::ConvertTo(d, hn::BitCast(hn::RebindToSigned<D>(), magnitude));
    const U small = hn::BitCast(d32, hn::Mul(counted, hn::Set(d, 0x1p-24f)));
    const U finite = hn::IfThenElse(at_least(magnitude, 0x400), shifted, small);
    return hn::BitCast(d, hn::Or(sign, hn::IfThenElse(at_least(magnitude, 0x7C00), special, finite)));
  }
}

// Of numbers that FP16 has.
template <class Code>
HWY_INLINE void store_half(V x, Code* codes) {
  const D d;
  const D16 d16;
  if constexpr (kNativeFma) {
    hn::StoreU(hn::BitCast(d16, hn::DemoteTo(hn::Rebind<hwy::float16_t, D>(), x)), d16, codes);
  } else {
    const D32 d32;
    const hn::RebindToSigned<D> signed32;
    const U bits = hn::BitCast(d32, x), magnitude = hn::And(bits, hn::Set(d32, kMagnitude));
    const U sign = hn::ShiftRight<16>(hn::Xor(bits, magnitude));
    const U normal = hn::ShiftRight<13>(hn::Sub(magnitude, hn::Set(d32, kHalfBias)));
    const V steps = hn::Mul(hn::BitCast(d, magnitude), hn::Set(d, 0x1p24f));
    const U small = hn::BitCast(d32, hn::ConvertTo(signed32, steps));
    const U finite = hn::IfThenElse(at_least(magnitude, kHalfNormal), normal, small);
    const U special = hn::IfThenElse(at_least(magnitude, kInfinity + 1), hn::Set(d32, 0x7E00), hn::Set(d32, 0x7C00));
    const U code = hn::Or(sign, hn::IfThenElse(at_least(magnitude, kHalfInfinite), special, finite));
    hn::StoreU(hn::DemoteTo(d16, hn::BitCast(signed32, code)), d16, codes);
  }
}

// f16_stochastic and back again.
HWY_INLINE V round_to_half(V x, U noise) {
  const D d;
  const D32 d32;
  const U bits = hn::BitCast(d32, x), magnitude = hn::And(bits, hn::Set(d32, kMagnitude));
  const U sign = hn::Xor(bits, magnitude);
  noise = hn::And(noise, hn::Set(d32, 0x1FFF));
  const U cut = hn::AndNot(hn::Set(d32, 0x1FFF), hn::Add(magnitude, noise));
  const U normal = hn::IfThenElse(at_least(cut, kHalfInfinite), hn::Set(d32, kInfinity), cut);
  // Below 2^-14: steps of 2^-24. The fraction of a step and the noise carry where they reach a whole one; all exact.
  const hn::RebindToSigned<D> signed32;
  const V steps = hn::Mul(hn::BitCast(d, magnitude), hn::Set(d, 0x1p24f));
  const V whole = hn::ConvertTo(d, hn::ConvertTo(signed32, steps)), one = hn::Set(d, 1.0f);
  const V threshold = hn::Sub(one, hn::Mul(hn::ConvertTo(d, hn::BitCast(signed32, noise)), hn::Set(d, 0x1p-13f)));
  const V carry = hn::IfThenElseZero(hn::Ge(hn::Sub(steps, whole), threshold), one);
  const U small = hn::BitCast(d32, hn::Mul(hn::Add(whole, carry), hn::Set(d, 0x1p-24f)));
  const U finite = hn::IfThenElse(at_least(magnitude, kHalfNormal), normal, small);
  const U result = hn::IfThenElse(at_least(magnitude, kInfinity + 1), hn::Set(d32, kNan), finite);
  return hn::BitCast(d, hn::Or(sign, result));
}

// a * m in 64 bits, as its low and its high half.
struct Wide {
  U low, high;
};

HWY_INLINE Wide multiply(U a, uint32_t m) {
  const D32 d32;
  const hn::Repartition<uint64_t, D> d64;
  const U factor = hn::Set(d32, m);
  const auto even = hn::MulEven(a, factor);
  const auto odd = hn::MulEven(hn::BitCast(d32, hn::ShiftRight<32>(hn::BitCast(d64, a))), factor);
  return {hn::OddEven(hn::BitCast(d32, hn::ShiftLeft<32>(odd)), hn::BitCast(d32, even)),
          hn::OddEven(hn::BitCast(d32, odd), hn::BitCast(d32, hn::ShiftRight<32>(even)))};
}

// state_noise of `count` quads from `first` on, four words each; writes up to whole vectors of quads.
inline void state_noises(uint64_t seed, uint32_t layer, uint64_t position, uint32_t first, index count, uint32_t* out) {
  const D32 d32;
  HWY_ALIGN static constexpr uint32_t kCount[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  for (index q = 0; q < count; q += kWidth, out += 4 * kWidth) {
    U c0 = hn::Add(hn::Load(d32, kCount), hn::Set(d32, first + uint32_t(q))), c1 = hn::Set(d32, layer);
    U c2 = hn::Set(d32, uint32_t(position)), c3 = hn::Set(d32, uint32_t(position >> 32));
    uint32_t key0 = uint32_t(seed), key1 = uint32_t(seed >> 32);
    for (int i = 0; i < kStateRounds; ++i, key0 += kPhiloxWeyl0, key1 += kPhiloxWeyl1) {
      const Wide p0 = multiply(c0, kPhiloxFactor0), p1 = multiply(c2, kPhiloxFactor1);
      c0 = hn::Xor(hn::Xor(p1.high, c1), hn::Set(d32, key0));
      c2 = hn::Xor(hn::Xor(p0.high, c3), hn::Set(d32, key1));
      c1 = p1.low, c3 = p0.low;
    }
    hn::StoreInterleaved4(c0, c1, c2, c3, d32, out);
  }
}

}  // namespace
}  // namespace nemotron::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
