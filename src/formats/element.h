// Number formats of one element: the exact value of each code, and the code of each value (spec: OCP FP8, FP4; IEEE
// 754).
//
// A codec is a type with `Code`, `decode(Code) -> float` (exact) and `encode(float) -> Code` (nearest, ties to even
// unless it says otherwise). These scalar functions are the whole truth; kernels that convert faster are tested against
// them.

#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace nemotron {

inline uint32_t float_bits(float x) { return std::bit_cast<uint32_t>(x); }
inline float bits_float(uint32_t b) { return std::bit_cast<float>(b); }

// A float without infinities or with them, given by its widths: codes are sign, exponent, mantissa. kExponent bits of
// exponent with bias kBias, kMantissa bits of mantissa. Decoding covers finite codes only.
template <int kExponent, int kMantissa, int kBias>
constexpr float decode_finite(uint32_t code) {
  const uint32_t mantissa = code & ((1u << kMantissa) - 1), exponent = code >> kMantissa & ((1u << kExponent) - 1);
  const float scale = std::bit_cast<float>(
      (exponent == 0 ? 1 - kBias - kMantissa + 127 : int(exponent) - kBias - kMantissa + 127) << 23);
  const float value = float(exponent == 0 ? mantissa : mantissa + (1u << kMantissa)) * scale;
  return code >> (kExponent + kMantissa) & 1 ? -value : value;
}

// |x| rounded to the nearest multiple of the format's step at that size, ties to even, as a code that may lie beyond
// the largest finite one (the caller saturates or overflows). x must be finite.
template <int kExponent, int kMantissa, int kBias>
constexpr uint32_t encode_magnitude(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x) & 0x7FFFFFFF;
  constexpr int kDrop = 23 - kMantissa;
  constexpr uint32_t kSmallestNormal = uint32_t(127 - kBias + 1) << 23;
  if (bits >= kSmallestNormal) {
    const uint32_t rounded = bits + ((1u << (kDrop - 1)) - 1) + (bits >> kDrop & 1);
    return (rounded >> kDrop) - (uint32_t(127 - kBias) << kMantissa);
  }
  // Subnormal: the step is 2^(1 - bias - mantissa); adding a float whose own step is that lets the addition round.
  constexpr float kAnchor = std::bit_cast<float>(uint32_t(1 - kBias - kMantissa + 23 + 127) << 23);
  const float sum = std::bit_cast<float>(bits) + kAnchor;
  return std::bit_cast<uint32_t>(sum) - std::bit_cast<uint32_t>(kAnchor);
}

struct F32 {
  using Code = uint32_t;
  static float decode(Code c) { return bits_float(c); }
  static Code encode(float x) { return float_bits(x); }
};

// bfloat16: the upper half of a float32. Overflow gives infinity; a NaN stays a (quiet) NaN.
struct Bf16 {
  using Code = uint16_t;
  static float decode(Code c) { return bits_float(uint32_t{c} << 16); }
  static Code encode(float x) {
    const uint32_t b = float_bits(x);
    if ((b & 0x7FFFFFFF) > 0x7F800000) return Code(b >> 16 | 0x40);
    return Code((b + 0x7FFF + (b >> 16 & 1)) >> 16);
  }
};

// IEEE binary16, subnormals kept, infinity from 65520 on.
struct F16 {
  using Code = uint16_t;
  static float decode(Code c) {
    if ((c & 0x7C00) == 0x7C00) return bits_float(uint32_t(c & 0x8000) << 16 | 0x7F800000 | uint32_t(c & 0x3FF) << 13);
    return decode_finite<5, 10, 15>(c);
  }
  static Code encode(float x) {
    const Code sign = Code(float_bits(x) >> 16 & 0x8000);
    if (std::isnan(x)) return Code(sign | 0x7E00);
    if (std::isinf(x)) return Code(sign | 0x7C00);
    const uint32_t code = encode_magnitude<5, 10, 15>(x);
    return Code(sign | (code > 0x7C00 ? 0x7C00 : code));
  }
};

// FP8 E4M3 "fn": bias 7, largest 448 (0x7E), no infinity, NaN 0x7F and 0xFF. Encoding saturates, infinity too; NaN
// gives 0x7F.
struct E4m3 {
  using Code = uint8_t;
  static constexpr float kMax = 448;
  static float decode(Code c) {
    return (c & 0x7F) == 0x7F ? std::numeric_limits<float>::quiet_NaN() : decode_finite<4, 3, 7>(c);
  }
  static Code encode(float x) {
    if (std::isnan(x)) return 0x7F;
    const Code sign = Code(std::signbit(x) ? 0x80 : 0);
    if (std::fabs(x) >= kMax) return Code(sign | 0x7E);
    return Code(sign | encode_magnitude<4, 3, 7>(x));
  }
};

// FP8 E5M2: bias 15, largest finite 57344 (0x7B), infinity 0x7C, NaN 0x7D to 0x7F. `encode` saturates; `encode_ieee`
// overflows to infinity from 61440 on.
struct E5m2 {
  using Code = uint8_t;
  static constexpr float kMax = 57344;
  static float decode(Code c) {
    if ((c & 0x7F) == 0x7C)
      return c & 0x80 ? -std::numeric_limits<float>::infinity() : std::numeric_limits<float>::infinity();
    return (c & 0x7F) > 0x7C ? std::numeric_limits<float>::quiet_NaN() : decode_finite<5, 2, 15>(c);
  }
  static Code encode(float x) {
    if (std::isnan(x)) return 0x7F;
    const Code sign = Code(std::signbit(x) ? 0x80 : 0);
    return Code(sign | (std::fabs(x) >= kMax ? 0x7B : encode_magnitude<5, 2, 15>(x)));
  }
  static Code encode_ieee(float x) {
    if (std::isnan(x)) return 0x7F;
    const Code sign = Code(std::signbit(x) ? 0x80 : 0);
    if (std::fabs(x) >= 61440) return Code(sign | 0x7C);
    return Code(sign | encode_magnitude<5, 2, 15>(x));
  }
};

// FP4 E2M1: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives (code 8 is -0). Encoding saturates; a NaN, which has no
// code, gives 0.
struct E2m1 {
  using Code = uint8_t;  // the low four bits
  static constexpr float kMax = 6;
  static constexpr std::array<float, 16> kValues = {0, .5f, 1, 1.5f, 2, 3, 4, 6, -0.f, -.5f, -1, -1.5f, -2, -3, -4, -6};
  static float decode(Code c) { return kValues[c & 15]; }
  static Code encode(float x) {
    if (std::isnan(x)) return 0;
    const Code sign = Code(std::signbit(x) ? 8 : 0);
    if (std::fabs(x) >= kMax) return Code(sign | 7);
    return Code(sign | encode_magnitude<2, 1, 1>(x));
  }
};

// FP16 with stochastic rounding (spec/training.md 7.6): `noise` is 13 random bits r; the magnitude is rounded up where
// the dropped bits plus r carry. Subnormal results are kept: floor(|x| 2^24 + r/8192). Infinity and NaN stay what they
// are.
inline F16::Code f16_stochastic(float x, uint32_t noise) {
  const uint32_t bits = float_bits(x), sign = bits >> 16 & 0x8000;
  uint32_t a = bits & 0x7FFFFFFF;
  noise &= 0x1FFF;
  if (a >= 0x7F800000) return F16::Code(sign | (a > 0x7F800000 ? 0x7E00 : 0x7C00));
  if (a < 0x38800000) {  // below 2^-14 the step is 2^-24; the sum is exact in double
    return F16::Code(sign | uint32_t(std::floor(double(bits_float(a)) * 16777216.0 + noise / 8192.0)));
  }
  a += noise;
  const uint32_t exponent = a >> 23;
  return F16::Code(sign | (exponent > 142 ? 0x7C00 : (exponent - 112) << 10 | (a >> 13 & 0x3FF)));
}

}  // namespace nemotron
