// The sixteen running sums of law 1 on any vector length, and a fused multiply-add that is exact on every target.
//
// Included once a target by the .cc files of this folder (foreach_target).

#if defined(NEMOTRON_LANES_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef NEMOTRON_LANES_INL_H
#undef NEMOTRON_LANES_INL_H
#else
#define NEMOTRON_LANES_INL_H
#endif

#include <hwy/highway.h>

#include <cstdint>

#include "tensor/tensor.h"

// Before a loop over an array that is to live in registers: with a constant count, unrolled whatever its size.
#undef NEMOTRON_UNROLL
#if HWY_COMPILER_CLANG
#define NEMOTRON_UNROLL _Pragma("unroll")
#else
#define NEMOTRON_UNROLL _Pragma("GCC unroll 16")
#endif

HWY_BEFORE_NAMESPACE();
namespace nemotron::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
using D8 = hn::Repartition<uint8_t, D>;  // the bytes of a register
using D4 = hn::FixedTag<float, 4>;
using V4 = hn::Vec<D4>;
constexpr int kWidth = int(hn::MaxLanes(D()));  // floats a register: 16, 8 or 4
constexpr int kRegs = 16 / kWidth;
static_assert(kWidth >= 4 && kRegs * kWidth == 16);

constexpr bool kNativeFma =
    HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL || HWY_TARGET == HWY_NEON;

// a * b + c in float64 lanes, rounded to odd, so that rounding once more to float32 is correct: the sum with an inexact
// result gets its last bit set (Boldo and Melquiond 2008). The product of two floats is exact in float64.
template <class DD, class VD>
HWY_INLINE VD fma_to_odd(DD d, VD a, VD b, VD c) {
  const hn::RebindToUnsigned<DD> du;
  const VD p = hn::Mul(a, b), s = hn::Add(p, c);
  const VD back = hn::Sub(s, p);
  const VD error = hn::Add(hn::Sub(p, hn::Sub(s, back)), hn::Sub(c, back));  // exact: Knuth's two-sum
  const auto up = hn::Gt(error, hn::Zero(d)),
             down = hn::Lt(error, hn::Zero(d));  // both false for NaN (an infinite sum)
  const auto bits = hn::BitCast(du, s), one = hn::Set(du, 1);
  const auto even = hn::Eq(hn::And(bits, one), hn::Zero(du));
  const auto positive = hn::Gt(s, hn::Zero(d));
  // Towards the exact value: away from zero where the error has the sign of the sum.
  const auto grow = hn::Or(hn::And(up, positive), hn::AndNot(positive, down));
  const auto moved = hn::IfThenElse(hn::RebindMask(du, grow), hn::Add(bits, one), hn::Sub(bits, one));
  const auto change = hn::And(even, hn::RebindMask(du, hn::Or(up, down)));
  return hn::BitCast(d, hn::IfThenElse(change, moved, bits));
}

// a * b + c with one rounding.
template <class VF>  // a template only so that the branch of another target is not compiled
HWY_INLINE VF fma(VF a, VF b, VF c) {
  if constexpr (kNativeFma) {
    return hn::MulAdd(a, b, c);
  } else {
    const hn::Repartition<double, D> dd;
    const hn::Half<D> dh;
    const D d;
    const auto half = [&](auto x, auto y, auto z) HWY_ATTR {
      return hn::DemoteTo(dh, fma_to_odd(dd, hn::PromoteTo(dd, x), hn::PromoteTo(dd, y), hn::PromoteTo(dd, z)));
    };
    const auto low = half(hn::LowerHalf(dh, a), hn::LowerHalf(dh, b), hn::LowerHalf(dh, c));
    const auto high = half(hn::UpperHalf(dh, a), hn::UpperHalf(dh, b), hn::UpperHalf(dh, c));
    return hn::Combine(d, high, low);
  }
}

// Sixteen sums, one for each k mod 16.
struct Sums {
  V r[kRegs];
};

HWY_INLINE void clear(Sums& s) {
  for (int i = 0; i < kRegs; ++i) s.r[i] = hn::Zero(D());
}

HWY_INLINE void load(const float* p, Sums& s) {
  for (int i = 0; i < kRegs; ++i) s.r[i] = hn::LoadU(D(), p + i * kWidth);
}

HWY_INLINE void store(const Sums& s, float* p) {
  for (int i = 0; i < kRegs; ++i) hn::StoreU(s.r[i], D(), p + i * kWidth);
}

// The upper part of the tree: k with k+8, then k+4; what is left are four sums.
template <class S>
HWY_INLINE V4 fold(const S& s) {
  const D4 d4;
  if constexpr (kWidth == 16) {
    const hn::Half<D> d8;
    const auto v = hn::Add(hn::LowerHalf(d8, s.r[0]), hn::UpperHalf(d8, s.r[0]));
    return hn::Add(hn::LowerHalf(d4, v), hn::UpperHalf(d4, v));
  } else if constexpr (kWidth == 8) {
    const auto v = hn::Add(s.r[0], s.r[1]);
    return hn::Add(hn::LowerHalf(d4, v), hn::UpperHalf(d4, v));
  } else {
    return hn::Add(hn::Add(s.r[0], s.r[2]), hn::Add(s.r[1], s.r[3]));
  }
}

// The rest of the tree, k+2 then k+1, for four folded sums at once: lane i is the total of the i-th.
HWY_INLINE V4 total4(V4 a, V4 b, V4 c, V4 e) {
  const D4 d4;
  const V4 ab = hn::Add(hn::InterleaveLower(d4, a, b), hn::InterleaveUpper(d4, a, b));
  const V4 ce = hn::Add(hn::InterleaveLower(d4, c, e), hn::InterleaveUpper(d4, c, e));
  return hn::Add(hn::ConcatLowerLower(d4, ce, ab), hn::ConcatUpperUpper(d4, ce, ab));
}

HWY_INLINE float total(const Sums& s) {
  const V4 v = fold(s);
  return hn::GetLane(total4(v, v, v, v));
}

// y[i] = f(x[i]...) for i < n, f on vectors. The tail runs through a padded buffer, so that every element sees the same
// code.
template <class F>
HWY_INLINE void transform(index n, float* y, const F& f, const float* x) {
  const D d;
  index i = 0;
  for (; i + kWidth <= n; i += kWidth) hn::StoreU(f(hn::LoadU(d, x + i)), d, y + i);
  if (i < n) {
    float in[16] = {}, out[16];
    for (index j = i; j < n; ++j) in[j - i] = x[j];
    hn::StoreU(f(hn::LoadU(d, in)), d, out);
    for (index j = i; j < n; ++j) y[j] = out[j - i];
  }
}

template <class F>
HWY_INLINE void transform(index n, float* y, const F& f, const float* x, const float* z) {
  const D d;
  index i = 0;
  for (; i + kWidth <= n; i += kWidth) hn::StoreU(f(hn::LoadU(d, x + i), hn::LoadU(d, z + i)), d, y + i);
  if (i < n) {
    float a[16] = {}, b[16] = {}, out[16];
    for (index j = i; j < n; ++j) a[j - i] = x[j], b[j - i] = z[j];
    hn::StoreU(f(hn::LoadU(d, a), hn::LoadU(d, b)), d, out);
    for (index j = i; j < n; ++j) y[j] = out[j - i];
  }
}

// Calls step(lanes) on x[0..n) sixteen at a time, zeros beyond the end.
template <class F>
HWY_INLINE void each16(const float* x, index n, const F& step) {
  Sums v;
  index k = 0;
  for (; k + 16 <= n; k += 16) {
    load(x + k, v);
    step(v);
  }
  if (k < n) {
    float tail[16] = {};
    for (index j = k; j < n; ++j) tail[j - k] = x[j];
    load(tail, v);
    step(v);
  }
}

}  // namespace
}  // namespace nemotron::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
