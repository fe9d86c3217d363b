// NVFP4 weights times int8 activations: exact integer sums of blocks, joined in float32 (ops/ops.h has the order).
//
// A step is a chunk of 16 blocks of 16 columns, one block a lane. Weights stay in the checkpoint's order: 128 bytes of
// codes a chunk, the low nibbles the even columns. It is x that is laid out to meet them.

#if defined(NEMOTRON_INT8_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef NEMOTRON_INT8_INL_H
#undef NEMOTRON_INT8_INL_H
#else
#define NEMOTRON_INT8_INL_H
#endif

#include <hwy/cache_control.h>

#include "ops/cpu/product-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nemotron::HWY_NAMESPACE {
namespace {

constexpr index kChunk = 256, kBlocks = kChunk / Nvfp4::kBlock;

using D32 = hn::RebindToSigned<D>;
using V32 = hn::Vec<D32>;
using V8 = hn::Vec<D8>;

// codes[q] lane l: four columns of block l, c + {0, 2, 4, 6} for c = 0, 1, 8, 9; byte 4 l + i of codes[q] is the i-th.
struct XChunk {
  int8_t codes[4][64];
  int32_t start[16];  // takes the offset of the weights' codes out again
  float scale[16];    // 0 for blocks beyond the end
};

// Twice the value of each E2M1 code plus kOffset: no number is negative, as the multiplication asks of one side.
constexpr int kOffset = 12;
HWY_ALIGN constexpr uint8_t kE2m1Codes[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};

// sum + the products of four weights (0 .. 24) with four x (-127 .. 127) in each lane of each of the four registers.
struct Widening {  // 16-bit products first: 4 * 2 * 24 * 127 still fits
  template <class A, class B>
  static HWY_INLINE V32 dot(const A* w, const B* x, V32 sum) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
    const auto p = [&](int q) HWY_ATTR { return _mm512_maddubs_epi16(w[q].raw, x[q].raw); };
    const __m512i s = _mm512_add_epi16(_mm512_add_epi16(p(0), p(1)), _mm512_add_epi16(p(2), p(3)));
    return V32{_mm512_add_epi32(sum.raw, _mm512_madd_epi16(s, _mm512_set1_epi16(1)))};
#elif HWY_TARGET == HWY_AVX2
    const auto p = [&](int q) HWY_ATTR { return _mm256_maddubs_epi16(w[q].raw, x[q].raw); };
    const __m256i s = _mm256_add_epi16(_mm256_add_epi16(p(0), p(1)), _mm256_add_epi16(p(2), p(3)));
    return V32{_mm256_add_epi32(sum.raw, _mm256_madd_epi16(s, _mm256_set1_epi16(1)))};
#elif HWY_ARCH_X86
    const auto p = [&](int q) HWY_ATTR { return _mm_maddubs_epi16(w[q].raw, x[q].raw); };
    const __m128i s = _mm_add_epi16(_mm_add_epi16(p(0), p(1)), _mm_add_epi16(p(2), p(3)));
    return V32{_mm_add_epi32(sum.raw, _mm_madd_epi16(s, _mm_set1_epi16(1)))};
#elif HWY_TARGET == HWY_NEON
    const auto w8 = [&](int q) HWY_ATTR { return vreinterpretq_s8_u8(w[q].raw); };
    int16x8_t low = vmull_s8(vget_low_s8(w8(0)), vget_low_s8(x[0].raw)), high = vmull_high_s8(w8(0), x[0].raw);
    for (int q = 1; q < 4; ++q) {
      low = vmlal_s8(low, vget_low_s8(w8(q)), vget_low_s8(x[q].raw));
      high = vmlal_high_s8(high, w8(q), x[q].raw);
    }
    return V32{vpadalq_s16(sum.raw, vpaddq_s16(low, high))};
#else
#error "no int8 multiplication for this target"
#endif
  }
};

// Four products at once, added to 32 bits. In assembly, because Highway's target strings do not name the instruction:
// AVX3_DL promises AVX512-VNNI all the same, and AVX-VNNI is chosen by cpu::avx_vnni().
#if HWY_TARGET == HWY_AVX3_DL || HWY_TARGET == HWY_AVX2
struct Vnni {
  template <class A, class B>
  static HWY_INLINE V32 dot(const A* w, const B* x, V32 sum) {
    for (int q = 0; q < 4; ++q) {
#if HWY_TARGET == HWY_AVX3_DL
      asm("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(w[q].raw), "v"(x[q].raw));
#else
      asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum.raw) : "x"(w[q].raw), "xm"(x[q].raw));
#endif
    }
    return sum;
  }
};
#endif

// The float value of block scales, a code a lane. They are neither NaN nor negative (the loader sees to it).
template <class V32u>
HWY_INLINE V block_scale(V32u codes) {
  const D d;
  return hn::Mul(hn::BitCast(d, hn::ShiftLeft<20>(codes)), hn::Set(d, 0x1p120f));
}

// A register's share of a chunk of W: four registers of codes, one scale a lane.
struct WPart {
  V8 codes[4];
  V scale;
};

// Part `part` of the chunk whose codes and scales begin here; reads 128 and 16 bytes, whatever of them is used.
HWY_INLINE void decode_part(const uint8_t* codes, const uint8_t* scales, int part, WPart& w) {
  const D8 d8;
  const hn::Repartition<uint16_t, D> d16;
  const hn::Repartition<uint32_t, D> d32;
  constexpr int kBytes = kWidth * 4;
  const auto low = hn::BitCast(d32, hn::LoadU(d8, codes + part * 2 * kBytes)),
             high = hn::BitCast(d32, hn::LoadU(d8, codes + part * 2 * kBytes + kBytes));
  const auto table = hn::LoadDup128(d8, kE2m1Codes), nibble = hn::Set(d8, 15);
  const auto value = [&](auto four) HWY_ATTR { return hn::TableLookupBytes(table, hn::And(four, nibble)); };
  const auto both = [&](auto bytes, V8* out) HWY_ATTR {
    out[0] = value(hn::BitCast(d8, bytes));
    out[1] = value(hn::BitCast(d8, hn::ShiftRight<4>(hn::BitCast(d16, bytes))));
  };
  both(hn::ConcatEven(d32, high, low), w.codes);  // the first half of each block
  both(hn::ConcatOdd(d32, high, low), w.codes + 2);
  w.scale = block_scale(hn::PromoteTo(d32, hn::LoadU(hn::Rebind<uint8_t, D>(), scales + part * kWidth)));
}

template <class Dot>
struct XPart {
  hn::Vec<hn::Repartition<int8_t, D>> codes[4];
  V32 start;
  V scale;
  HWY_INLINE XPart() = default;
  HWY_INLINE XPart(const XChunk& c, int p) {
    for (int q = 0; q < 4; ++q) codes[q] = hn::LoadU(hn::Repartition<int8_t, D>(), c.codes[q] + p * kWidth * 4);
    start = hn::LoadU(D32(), c.start + p * kWidth);
    scale = hn::LoadU(D(), c.scale + p * kWidth);
  }
};

template <int kParts>
struct WShare {
  WPart part[kParts];
};

template <int kParts, class Dot>
HWY_INLINE V mac(const WShare<kParts>& w, int i, const XPart<Dot>& x, V sum) {
  const V32 exact = Dot::dot(w.part[i].codes, x.codes, x.start);
  return fma(hn::ConvertTo(D(), exact), hn::Mul(w.part[i].scale, x.scale), sum);
}

// Rows of W as they lie in the file; for rows after which there are 120 more bytes of codes and 15 of scales.
struct FileInt8 {
  static constexpr bool kFour = false;
  template <int kParts>
  using Share = WShare<kParts>;
  const uint8_t *codes, *scales;
  index run_blocks, stride, first = 0;  // blocks of a run, from row to row, before the run
  FileInt8(const Matrix& w, index row)
      : codes(w.data + row * (w.cols / 2)),
        scales(w.block_scales + row * (w.cols / Nvfp4::kBlock)),
        run_blocks(w.cols / Nvfp4::kBlock / w.k_segments),
        stride(w.cols / Nvfp4::kBlock) {}
  HWY_INLINE FileInt8 from(index row) const {
    FileInt8 f = *this;
    f.codes += row * stride * 8, f.scales += row * stride;
    return f;
  }
  HWY_INLINE FileInt8 run(index s) const {
    FileInt8 f = *this;
    f.first = s * run_blocks;
    return f;
  }
  template <int kN>
  HWY_INLINE void ask_ahead(index k) const {
    const index block = kN * (first + k * kBlocks);
    for (index i = 0; i < kN * 128; i += 64) hwy::Prefetch(codes + kAskAhead + block * 8 + i);
    hwy::Prefetch(scales + kAskAhead / 8 + block);
  }
  template <int, int kParts>
  HWY_INLINE void load(int n, index k, int part, WShare<kParts>& w) const {
    const index block = n * stride + first + k * kBlocks;
    for (int i = 0; i < kParts; ++i) decode_part(codes + block * 8, scales + block, part + i, w.part[i]);
  }
};

index int8_steps(const Matrix& w) { return (w.cols / w.k_segments + kChunk - 1) / kChunk; }

using I32x4 = hn::FixedTag<int32_t, 4>;
using I8x16 = hn::FixedTag<int8_t, 16>;

// The largest of sixteen numbers none of which is negative, in four steps of which the last two do four at once.
template <class S>  // a template only so that the branches of other targets are not compiled
HWY_INLINE auto fold_max(const S& v) {
  const D32 d;
  const I32x4 d4;
  if constexpr (kWidth == 16) {
    const hn::Half<D32> d8;
    const auto m = hn::Max(hn::LowerHalf(d8, v[0]), hn::UpperHalf(d8, v[0]));
    return hn::Max(hn::LowerHalf(d4, m), hn::UpperHalf(d4, m));
  } else if constexpr (kWidth == 8) {
    const auto m = hn::Max(v[0], v[1]);
    return hn::Max(hn::LowerHalf(d4, m), hn::UpperHalf(d4, m));
  } else {
    static_cast<void>(d);
    return hn::Max(hn::Max(v[0], v[1]), hn::Max(v[2], v[3]));
  }
}

template <class V4i>
HWY_INLINE V4i max4(V4i a, V4i b, V4i c, V4i e) {
  const I32x4 d;
  const auto ab = hn::Max(hn::InterleaveLower(d, a, b), hn::InterleaveUpper(d, a, b)),
             ce = hn::Max(hn::InterleaveLower(d, c, e), hn::InterleaveUpper(d, c, e));
  return hn::Max(hn::ConcatLowerLower(d, ce, ab), hn::ConcatUpperUpper(d, ce, ab));
}

// Sixteen integers as bytes, saturated.
template <class S>
HWY_INLINE hn::Vec<I8x16> narrow(const S& v) {
  const hn::Rebind<int8_t, D32> d8;
  if constexpr (kWidth == 16) {
    return hn::DemoteTo(d8, v[0]);
  } else if constexpr (kWidth == 8) {
    return hn::Combine(I8x16(), hn::DemoteTo(d8, v[1]), hn::DemoteTo(d8, v[0]));
  } else {
    const hn::Twice<decltype(d8)> d16;
    return hn::Combine(I8x16(), hn::Combine(d16, hn::DemoteTo(d8, v[3]), hn::DemoteTo(d8, v[2])),
                       hn::Combine(d16, hn::DemoteTo(d8, v[1]), hn::DemoteTo(d8, v[0])));
  }
}

// Where XChunk wants the columns of a block: four for each register of codes.
HWY_ALIGN constexpr uint8_t kSpread[16] = {0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15};

// Sixteen blocks of x to a chunk, as Int8Block says.
template <class Dot>
HWY_INLINE void quantize_chunk(const float* x, XChunk& out) {
  const D d;
  const D32 d32;
  const I32x4 d4;
  HWY_ALIGN int32_t amax[16];
  HWY_ALIGN float factor[16];
  for (int b = 0; b < 16; b += 4) {
    const auto most = [&](int i) HWY_ATTR {  // magnitudes compare as integers, what is not finite above all others
      V32 v[kRegs];
      for (int r = 0; r < kRegs; ++r) v[r] = hn::BitCast(d32, hn::Abs(hn::LoadU(d, x + (b + i) * 16 + r * kWidth)));
      return fold_max(v);
    };
    hn::Store(max4(most(0), most(1), most(2), most(3)), d4, amax + b);
  }
  for (int i = 0; i < 16; i += kWidth) {
    const V32 bits = hn::Load(d32, amax + i);
    const V a = hn::BitCast(d, bits), n = hn::Set(d, 127.0f);
    const auto finite = hn::RebindMask(d, hn::Lt(bits, hn::Set(d32, 0x7F800000)));
    const auto large = hn::And(finite, hn::Ge(a, hn::Set(d, Int8Block::kLeast)));
    const V none = hn::BitCast(d, hn::Set(d32, 0x7FC00000));
    hn::Store(hn::IfThenElseZero(large, hn::Div(n, a)), d, factor + i);
    hn::StoreU(hn::IfThenElse(finite, hn::IfThenElseZero(large, hn::Div(a, n)), none), d, out.scale + i);
  }
  for (int b = 0; b < 16; b += 4) {
    const auto block = [&](int i) HWY_ATTR {
      const V f = hn::Set(d, factor[b + i]);
      V32 v[kRegs];
      for (int r = 0; r < kRegs; ++r) v[r] = hn::NearestInt(hn::Mul(hn::LoadU(d, x + (b + i) * 16 + r * kWidth), f));
      const auto order = hn::Load(hn::FixedTag<uint8_t, 16>(), kSpread);
      return hn::BitCast(d4, hn::TableLookupBytes(narrow(v), order));
    };
    const auto v0 = block(0), v1 = block(1), v2 = block(2), v3 = block(3);
    const auto low01 = hn::InterleaveLower(d4, v0, v1), low23 = hn::InterleaveLower(d4, v2, v3);
    const auto high01 = hn::InterleaveUpper(d4, v0, v1), high23 = hn::InterleaveUpper(d4, v2, v3);
    const auto put = [&](int q, auto four)
                         HWY_ATTR { hn::StoreU(hn::BitCast(I8x16(), four), I8x16(), out.codes[q] + b * 4); };
    put(0, hn::ConcatLowerLower(d4, low23, low01));
    put(1, hn::ConcatUpperUpper(d4, low23, low01));
    put(2, hn::ConcatLowerLower(d4, high23, high01));
    put(3, hn::ConcatUpperUpper(d4, high23, high01));
  }
  const V8 offset = hn::Set(D8(), kOffset);
  const V8 offsets[4] = {offset, offset, offset, offset};
  for (int i = 0; i < kRegs; ++i)
    hn::StoreU(hn::Neg(Dot::dot(offsets, XPart<Dot>(out, i).codes, hn::Zero(d32))), d32, out.start + i * kWidth);
}

// Calls f(run, k, x) for chunk k of each run of a row of x, zeros beyond the end of a run.
template <class F>
HWY_INLINE void each_chunk(const float* x, const Matrix& w, const F& f) {
  const index steps = int8_steps(w), run_cols = w.cols / w.k_segments;
  for (int run = 0; run < w.k_segments; ++run, x += run_cols) {
    for (index k = 0; k < steps; ++k) {
      const index cols = std::min(kChunk, run_cols - k * kChunk);
      float last[kChunk];
      if (cols < kChunk) std::fill(std::copy_n(x + k * kChunk, cols, last), last + kChunk, 0.0f);
      f(run, k, cols < kChunk ? last : x + k * kChunk);
    }
  }
}

// A row of x to runs of chunks.
template <class Dot>
void quantize_row(const float* x, const Matrix& w, XChunk* out) {
  each_chunk(x, w, [&](int run, index k, const float* chunk) HWY_ATTR {
    quantize_chunk<Dot>(chunk, out[run * int8_steps(w) + k]);
  });
}

template <class Dot>
struct XInt8 {
  const XChunk* row;
  index steps, stride;  // chunks a run, a row
  HWY_INLINE XInt8 from(index t) const { return {row + t * stride, steps, stride}; }
  HWY_INLINE XInt8 run(index s) const { return {row + s * steps, steps, stride}; }
  // One of kM rows. For several, half of the time would go into loads: their codes are kept where registers are many.
  template <int kM>
  HWY_INLINE XPart<Dot> load(int m, index k, int part) const {
    XPart<Dot> x(row[m * stride + k], part);
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
    if constexpr (kM > 1)
      for (int q = 0; q < 4; ++q) asm("" : "+v"(x.codes[q].raw));
#endif
    return x;
  }
  // Weights count twice in their codes.
  static HWY_INLINE V4 finish(V4 total, const Matrix& w) {
    return hn::Mul(hn::Add(total, hn::Zero(D4())), hn::Set(D4(), w.scale * 0.5f));
  }
};

}  // namespace
}  // namespace nemotron::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
