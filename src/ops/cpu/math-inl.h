// Exponential, sigmoid, SiLU and softplus: polynomials of ours, the same bits on every target.

#if defined(NEMOTRON_MATH_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef NEMOTRON_MATH_INL_H
#undef NEMOTRON_MATH_INL_H
#else
#define NEMOTRON_MATH_INL_H
#endif

#include "ops/cpu/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nemotron::HWY_NAMESPACE {
namespace {

// e^x within 1 ulp of the float nearest: x = n ln2 + r with |r| <= ln2/2, Taylor's series to r^7 (remainder 3e-9
// relative), and 2^n in two factors, so that the result may be subnormal. Above 88.73 infinity, below -104 zero; NaN
// stays NaN.
HWY_INLINE V exp(V x) {
  const D d;
  const hn::RebindToSigned<D> di;
  const V magic = hn::Set(d, 0x1.8p23f);  // adding it rounds to an integer, ties to even, without a conversion
  const V clamped = hn::Min(hn::Max(x, hn::Set(d, -105.0f)), hn::Set(d, 89.5f));
  const V n = hn::Sub(fma(clamped, hn::Set(d, 0x1.715476p0f), magic), magic);
  V r = fma(n, hn::Set(d, -0x1.62e4p-1f), clamped);  // ln2 in two parts, the first with few bits: n times it is exact
  r = fma(n, hn::Set(d, -0x1.7f7d1cp-20f), r);
  V p = hn::Set(d, 1.0f / 5040);
  p = fma(p, r, hn::Set(d, 1.0f / 720));
  p = fma(p, r, hn::Set(d, 1.0f / 120));
  p = fma(p, r, hn::Set(d, 1.0f / 24));
  p = fma(p, r, hn::Set(d, 1.0f / 6));
  p = fma(p, r, hn::Set(d, 0.5f));
  p = fma(p, r, hn::Set(d, 1.0f));
  p = fma(p, r, hn::Set(d, 1.0f));
  const auto whole = hn::ConvertTo(di, n), half = hn::ShiftRight<1>(whole);
  const auto power = [&](auto e) HWY_ATTR { return hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(e, hn::Set(di, 127)))); };
  const V result = hn::Mul(hn::Mul(p, power(half)), power(hn::Sub(whole, half)));
  return hn::IfThenElse(hn::IsNaN(x), x, result);
}

HWY_INLINE V sigmoid(V x) {
  const V one = hn::Set(D(), 1.0f);
  return hn::Div(one, hn::Add(one, exp(hn::Neg(x))));
}

HWY_INLINE V silu(V x) { return hn::Div(x, hn::Add(hn::Set(D(), 1.0f), exp(hn::Neg(x)))); }

// ln(1 + u) for 0 <= u <= 1: 2 artanh(s) with s = u / (2 + u) <= 1/3, its series to s^17 (remainder 2e-10 relative).
HWY_INLINE V log1p(V u) {
  const D d;
  const V s = hn::Div(u, hn::Add(u, hn::Set(d, 2.0f))), s2 = hn::Mul(s, s);
  V p = hn::Set(d, 1.0f / 17);
  for (int k = 15; k >= 3; k -= 2) p = fma(p, s2, hn::Set(d, 1.0f / float(k)));
  const V twice = hn::Add(s, s);
  return fma(hn::Mul(p, s2), twice, twice);
}

// ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|): no overflow and no cancellation, so no threshold is needed.
HWY_INLINE V softplus(V x) {
  const V sum = hn::Add(hn::Max(x, hn::Zero(D())), log1p(exp(hn::Neg(hn::Abs(x)))));
  return hn::IfThenElse(hn::IsNaN(x), x, sum);
}

}  // namespace
}  // namespace nemotron::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
