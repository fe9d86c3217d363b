// Weights of any format times float32 activations, weights decoded exactly (ops/ops.h has the order).
//
// A step is sixteen columns, one a lane.

#if defined(NEMOTRON_REAL_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef NEMOTRON_REAL_INL_H
#undef NEMOTRON_REAL_INL_H
#else
#define NEMOTRON_REAL_INL_H
#endif

#include <hwy/cache_control.h>

#include <type_traits>

#include "ops/cpu/kernels.h"
#include "ops/cpu/product-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nemotron::HWY_NAMESPACE {
namespace {

// Sixteen weights, which are kStep bytes of a row, to floats, one register at a time.
template <class Codec>
struct Sixteen;

template <>
struct Sixteen<F32> {
  static constexpr index kStep = 64;
  static HWY_INLINE V part(const uint8_t* codes, int i) {
    return hn::BitCast(D(), hn::LoadU(D8(), codes + i * kWidth * 4));
  }
};

// Sixteen-bit codes in the lanes of a register.
HWY_INLINE auto load_halves(const uint8_t* codes, int i) {
  const hn::Rebind<uint16_t, D> d16;
  const hn::Repartition<uint8_t, decltype(d16)> d8;
  return hn::PromoteTo(hn::Rebind<uint32_t, D>(), hn::BitCast(d16, hn::LoadU(d8, codes + i * kWidth * 2)));
}

template <>
struct Sixteen<Bf16> {
  static constexpr index kStep = 32;
  static HWY_INLINE V part(const uint8_t* codes, int i) {
    return hn::BitCast(D(), hn::ShiftLeft<16>(load_halves(codes, i)));
  }
};

// Sixteen-bit floats: magnitudes shifted into place and scaled by 2^112, which also turns subnormals right.
template <class V32u>
HWY_INLINE V from_f16(V32u code) {
  const D d;
  const hn::Rebind<uint32_t, D> d32;
  const auto magnitude = hn::And(code, hn::Set(d32, 0x7FFF));
  const auto sign = hn::ShiftLeft<16>(hn::AndNot(hn::Set(d32, 0x7FFF), code)), wide = hn::ShiftLeft<13>(magnitude);
  const auto finite = hn::BitCast(d32, hn::Mul(hn::BitCast(d, wide), hn::Set(d, 0x1p112f)));
  const auto is_special = hn::Gt(magnitude, hn::Set(d32, 0x7BFF));
  const auto special = hn::Or(hn::Set(d32, 0x7F800000), wide);
  return hn::BitCast(d, hn::Or(sign, hn::IfThenElse(hn::RebindMask(d32, is_special), special, finite)));
}

template <>
struct Sixteen<F16> {
  static constexpr index kStep = 32;
  static HWY_INLINE V part(const uint8_t* codes, int i) { return from_f16(load_halves(codes, i)); }
};

// E4M3 but for NaN (see is_plain), which makes it half the instructions: codes with their signs in the upper bits.
template <class V32i>
HWY_INLINE V from_fp8(V32i code) {
  const D d;
  const auto bits = hn::And(hn::ShiftLeft<20>(code), hn::Set(hn::RebindToSigned<D>(), int32_t(0x87F00000)));
  return hn::Mul(hn::BitCast(d, bits), hn::Set(d, 0x1p120f));
}

template <>
struct Sixteen<Fp8> {
  static constexpr index kStep = 16;
  static HWY_INLINE V part(const uint8_t* codes, int i) {
    const hn::Rebind<int8_t, D> d8;
    const auto code = hn::LoadU(d8, reinterpret_cast<const int8_t*>(codes) + i * kWidth);
    return from_fp8(hn::PromoteTo(hn::RebindToSigned<D>(), code));
  }
};

// Formats that have a faster conversion, of four steps at a time.
template <class Codec>
struct FourSteps {
  static constexpr bool kHas = false;
};

#if HWY_TARGET == HWY_AVX3_DL
// E4M3, NaN and subnormals too, by looking up both bytes of its BF16 value; the sign goes past the tables.
struct Fp8Bytes {
  alignas(64) uint8_t high[128], low[128], order[64];
};
constexpr Fp8Bytes make_fp8_bytes() {
  Fp8Bytes t{};
  for (int code = 0; code < 128; ++code) {
    int exponent = code >> 3, mantissa = code & 7;
    if (exponent == 0 && mantissa != 0)  // subnormal: shifted until its leading one is implied
      for (exponent = 1; mantissa < 8; mantissa *= 2) --exponent;
    const int bits = code == 0 ? 0 : code == 0x7F ? 0x7FC0 : (exponent + 120) << 7 | (mantissa & 7) << 4;
    t.high[code] = uint8_t(bits >> 8), t.low[code] = uint8_t(bits);
  }
  // Where the 64 codes go so that the halves of words and registers below come out as steps, in the order of lanes.
  for (int step = 0; step < 4; ++step)
    for (int lane = 0; lane < 16; ++lane)
      t.order[lane / 4 * 16 + step / 2 * 8 + lane % 4 * 2 + step % 2] = uint8_t(step * 16 + lane);
  return t;
}
inline constexpr Fp8Bytes kFp8Bytes = make_fp8_bytes();

template <>
struct FourSteps<Fp8> {
  static constexpr bool kHas = true;
  __m512i high[2], low[2], order;
  HWY_INLINE FourSteps() : order(_mm512_load_si512(kFp8Bytes.order)) {
    for (int i = 0; i < 2; ++i) {
      high[i] = _mm512_load_si512(kFp8Bytes.high + 64 * i);
      low[i] = _mm512_load_si512(kFp8Bytes.low + 64 * i);
    }
  }
  HWY_INLINE void decode(const uint8_t* codes, V (&steps)[4]) const {
    const __m512i code = _mm512_permutexvar_epi8(order, _mm512_loadu_si512(codes));
    const __m512i l = _mm512_permutex2var_epi8(low[0], code, low[1]);
    const __m512i unsigned_h = _mm512_permutex2var_epi8(high[0], code, high[1]);
    const __m512i h = _mm512_ternarylogic_epi32(unsigned_h, code, _mm512_set1_epi8(char(0x80)), 0xF8);  // a | b & c
    const __m512i first = _mm512_unpacklo_epi8(l, h), last = _mm512_unpackhi_epi8(l, h);
    const __m512i upper = _mm512_set1_epi32(int(0xFFFF0000));
    steps[0] = V{_mm512_castsi512_ps(_mm512_slli_epi32(first, 16))};
    steps[1] = V{_mm512_castsi512_ps(_mm512_and_si512(first, upper))};
    steps[2] = V{_mm512_castsi512_ps(_mm512_slli_epi32(last, 16))};
    steps[3] = V{_mm512_castsi512_ps(_mm512_and_si512(last, upper))};
  }
};
#endif

// E2M1 values, and their upper halves (they are BF16 values too) one byte at a time.
HWY_ALIGN constexpr float kE2m1[16] = {0, .5f, 1, 1.5f, 2, 3, 4, 6, -0.f, -.5f, -1, -1.5f, -2, -3, -4, -6};
HWY_ALIGN constexpr uint8_t kE2m1Low[16] = {0, 0, 0x80, 0xC0, 0, 0x40, 0x80, 0xC0,
                                            0, 0, 0x80, 0xC0, 0, 0x40, 0x80, 0xC0};
HWY_ALIGN constexpr uint8_t kE2m1High[16] = {0,    0x3F, 0x3F, 0x3F, 0x40, 0x40, 0x40, 0x40,
                                             0x80, 0xBF, 0xBF, 0xBF, 0xC0, 0xC0, 0xC0, 0xC0};

// Sixteen codes, one a byte, to values: a permutation of a table in registers. A template for the same reason as `fma`.
template <class Codes>
HWY_INLINE void e2m1_values(Codes code, Sums& w) {
  const D d;
  const hn::Rebind<uint32_t, D> d32;
  if constexpr (kWidth == 16) {
    const auto place = hn::BitCast(hn::RebindToSigned<decltype(d32)>(), hn::PromoteTo(d32, code));
    w.r[0] = hn::TableLookupLanes(hn::Load(d, kE2m1), hn::IndicesFromVec(d, place));
  } else if constexpr (kWidth == 8) {
    const hn::FixedTag<uint8_t, 8> d8;
    const auto eight = [&](auto part) HWY_ATTR {
      const auto wide = hn::PromoteTo(d32, part);
      const auto magnitude = hn::And(wide, hn::Set(d32, 7));
      const auto place = hn::BitCast(hn::RebindToSigned<decltype(d32)>(), magnitude);
      const auto sign = hn::ShiftLeft<28>(hn::AndNot(hn::Set(d32, 7), wide));
      return hn::Or(hn::TableLookupLanes(hn::Load(d, kE2m1), hn::IndicesFromVec(d, place)), hn::BitCast(d, sign));
    };
    w.r[0] = eight(hn::LowerHalf(d8, code));
    w.r[1] = eight(hn::UpperHalf(d8, code));
  } else {
    const hn::FixedTag<uint8_t, 16> d8;
    const hn::FixedTag<uint16_t, 8> d16;
    const auto low = hn::TableLookupBytes(hn::Load(d8, kE2m1Low), code);
    const auto high = hn::TableLookupBytes(hn::Load(d8, kE2m1High), code);
    const auto zero = hn::Zero(d16);
    const auto first = hn::BitCast(d16, hn::InterleaveLower(d8, low, high));
    const auto last = hn::BitCast(d16, hn::InterleaveUpper(d8, low, high));
    w.r[0] = hn::BitCast(d, hn::InterleaveLower(d16, zero, first));
    w.r[1] = hn::BitCast(d, hn::InterleaveUpper(d16, zero, first));
    w.r[2] = hn::BitCast(d, hn::InterleaveLower(d16, zero, last));
    w.r[3] = hn::BitCast(d, hn::InterleaveUpper(d16, zero, last));
  }
}

template <>
struct Sixteen<Nvfp4> {
  static constexpr index kStep = 8;
  static HWY_INLINE void decode(const uint8_t* codes, float block_scale, Sums& w) {
    const hn::FixedTag<uint8_t, 8> d8;
    const hn::FixedTag<uint16_t, 8> d16;
    const V scale = hn::Set(D(), block_scale);
    // One code a byte, in order: the low nibble of each byte comes first.
    const auto pairs = hn::PromoteTo(d16, hn::LoadU(d8, codes));
    const auto nibbles =
        hn::Or(hn::And(pairs, hn::Set(d16, 0x0F)), hn::ShiftLeft<4>(hn::And(pairs, hn::Set(d16, 0xF0))));
    e2m1_values(hn::BitCast(hn::FixedTag<uint8_t, 16>(), nibbles), w);
    for (int i = 0; i < kRegs; ++i) w.r[i] = hn::Mul(w.r[i], scale);
  }
};

template <int kParts>
struct RealShare {
  V part[kParts];
};

template <int kParts>
HWY_INLINE V mac(const RealShare<kParts>& w, int i, V x, V sum) {
  return fma(x, w.part[i], sum);
}

// Rows of W as they lie in the file, of whole steps, read as one stream or a block of columns at a time.
template <class Codec, bool kStream = true>
struct FileReal {
  static constexpr bool kScaled = std::is_same_v<Codec, Nvfp4>;
  using Four = FourSteps<Codec>;
  static constexpr bool kFour = Four::kHas;
  static constexpr index kStep = Sixteen<Codec>::kStep;
  template <int kParts>
  using Share = RealShare<kParts>;
  const uint8_t *codes, *scales;   // a scale a step, where the format has them
  index steps, stride, first = 0;  // of a run; from row to row; before the run
  const float* values = cpu::e4m3_values();
  FileReal(const Matrix& w, index row)
      : codes(w.data + row * index(w.row_bytes())),
        scales(w.block_scales + (kScaled ? row * (w.cols / 16) : 0)),
        steps(w.cols / w.k_segments / 16),
        stride(w.cols / 16) {}
  HWY_INLINE FileReal from(index row) const {
    FileReal f = *this;
    f.codes += row * stride * kStep;
    if (kScaled) f.scales += row * stride;
    return f;
  }
  HWY_INLINE FileReal run(index s) const {
    FileReal f = *this;
    f.first = s * steps;
    return f;
  }
  // As one stream, asks for weights further on in the order of memory, whatever is read beside each other; load() asks
  // for the same columns of the next rows else.
  template <int kN>
  HWY_INLINE void ask_ahead(index k) const {
    constexpr index kBytes = kN * kStep;
    if constexpr (kStream)
      for (index i = 0; i < kBytes; i += 64) hwy::Prefetch(codes + kAskAhead + (first + k) * kBytes + i);
  }
  // sum[n][m] += four steps from k on of kN rows with kM rows of x.
  template <int kM, int kN, class X>
  HWY_INLINE void add_four(const Four& four, index k, const X& x, V (&sum)[kN][kM][kRegs]) const {
    static_assert(kStream);
    V w[kN][4];
    NEMOTRON_UNROLL
    for (int n = 0; n < kN; ++n) {
      hwy::Prefetch(codes + kAskAhead + ((first + k) * kN + n * 4) * kStep);
      four.decode(codes + (n * stride + first + k) * kStep, w[n]);
    }
    NEMOTRON_UNROLL
    for (int s = 0; s < 4; ++s) NEMOTRON_UNROLL
    for (int m = 0; m < kM; ++m) {
      const V xs = x.template load<kM>(m, k + s, 0);
      NEMOTRON_UNROLL
      for (int n = 0; n < kN; ++n) sum[n][m][0] = fma(xs, w[n][s], sum[n][m][0]);
    }
  }
  HWY_INLINE void load16(index step, Sums& w) const {
    const uint8_t* at = codes + step * kStep;
    if constexpr (kScaled) {
      Sixteen<Codec>::decode(at, values[scales[step]], w);
    } else {
      for (int i = 0; i < kRegs; ++i) w.r[i] = Sixteen<Codec>::part(at, i);
    }
  }
  template <int kN, int kParts>
  HWY_INLINE void load(int n, index k, int part, RealShare<kParts>& w) const {
    const index step = n * stride + first + k;
    if (!kStream && part == 0) hwy::Prefetch(codes + (step + kN * stride) * kStep);
    if constexpr (kScaled) {
      static_assert(kParts == kRegs);
      Sums v;
      load16(step, v);
      for (int i = 0; i < kRegs; ++i) w.part[i] = v.r[i];
    } else {
      for (int i = 0; i < kParts; ++i) w.part[i] = Sixteen<Codec>::part(codes + step * kStep, part + i);
    }
  }
};

// A panel of rows of W, each padded with zeros.
struct PanelReal {
  static constexpr bool kFour = false;
  template <int kParts>
  using Share = RealShare<kParts>;
  const float* row;
  index steps, stride;  // of a run; floats between rows
  HWY_INLINE PanelReal from(int n) const { return {row + n * stride, steps, stride}; }
  HWY_INLINE PanelReal run(index s) const { return {row + s * steps * 16, steps, stride}; }
  template <int>
  HWY_INLINE void ask_ahead(index) const {}
  template <int, int kParts>
  HWY_INLINE void load(int n, index k, int part, RealShare<kParts>& w) const {
    for (int i = 0; i < kParts; ++i) w.part[i] = hn::LoadU(D(), row + n * stride + k * 16 + (part + i) * kWidth);
  }
};

// Whether the conversion in registers covers all codes of W: for FP8, if all steps go four at a time.
template <class Codec>
bool converts_all(const Matrix& w) {
  return !std::is_same_v<Codec, Fp8> || (FourSteps<Codec>::kHas && w.cols % (64 * w.k_segments) == 0);
}

// Whether it covers `count` weights in a row: all but FP8 with a NaN.
template <class Codec>
bool is_plain(const uint8_t* codes, index count) {
  if constexpr (std::is_same_v<Codec, Fp8>) {
    const D8 d;
    constexpr index kBytes = index(hn::MaxLanes(D8()));
    const auto top = hn::Set(d, 0x80);  // with which a NaN is the largest code
    const auto code = [&](index i) HWY_ATTR { return hn::Or(hn::LoadU(d, codes + i), top); };
    auto most0 = top, most1 = top;
    index i = 0;
    for (; i + 2 * kBytes <= count; i += 2 * kBytes) {
      most0 = hn::Max(most0, code(i));
      most1 = hn::Max(most1, code(i + kBytes));
    }
    bool plain = hn::AllFalse(d, hn::Eq(hn::Max(most0, most1), hn::Set(d, 0xFF)));
    for (; i < count; ++i) plain &= (codes[i] & 0x7F) != 0x7F;
    return plain;
  } else {
    return true;
  }
}

index real_steps(const Matrix& w) { return (w.cols / w.k_segments + 15) / 16; }

// A row of W as floats.
template <class Codec>
void decode_real(const Matrix& w, index row, float* out) {
  const index whole = w.cols / 16 * 16;
  const FileReal<Codec> file(w, row);
  index i = 0;
  if (is_plain<Codec>(file.codes, whole)) {
    for (; i < whole; i += 16) {
      Sums v;
      file.load16(i / 16, v);
      store(v, out + i);
    }
  }
  if (i < w.cols) decode_row(w, row, i, w.cols - i, out + i);
}

// Rows of x, padded likewise.
struct XReal {
  static constexpr index kBlockSteps = 64;
  const float* row;
  index steps, stride;  // steps a run; floats between rows
  HWY_INLINE XReal from(index t) const { return {row + t * stride, steps, stride}; }
  HWY_INLINE XReal run(index s) const { return {row + s * steps * 16, steps, stride}; }
  template <int>
  HWY_INLINE V load(int m, index k, int part) const {
    V x = hn::LoadU(D(), row + m * stride + k * 16 + part * kWidth);
#if HWY_ARCH_X86 && !HWY_COMPILER_MSVC
    asm("" : "+v"(x.raw));  // stays in a register: GCC would load it for every multiplication anew
#endif
    return x;
  }
  static HWY_INLINE V4 finish(V4 total, const Matrix& w) { return hn::Mul(total, hn::Set(D4(), w.scale)); }
};

}  // namespace
}  // namespace nemotron::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
