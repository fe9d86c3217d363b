// The matrix product of many rows: outer products, with rows of W across the lanes.
//
// Law 1 gives every output sixteen sums, one for each k mod 16, k a column or a block of them (ops/ops.h). A dot
// product keeps the sixteen in the lanes of a register and so loads a register of x and one of w for every
// multiplication. Here the lanes are rows of W, and the sixteen sums are made one after the other: for one residue r of
// k a tile adds up x[m][k] * w[n][k] over k = r, r + 16, ..., an x serving some registers of w and a w all rows of the
// tile, from operands that stay in the first-level cache. What is added to what, and in which order, is the same.
//
// Both operands are laid out for it, in the order in which they are read: run of columns, residue, step, row. A kind of
// number says what a step is, `W` of a panel of rows of W and `X` of a tile of rows of x: kColumns columns of each.

#if defined(NEMOTRON_OUTER_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef NEMOTRON_OUTER_INL_H
#undef NEMOTRON_OUTER_INL_H
#else
#define NEMOTRON_OUTER_INL_H
#endif

#include <algorithm>
#include <cstring>

#include "ops/cpu/int8-inl.h"
#include "ops/cpu/real-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nemotron::HWY_NAMESPACE {
namespace {

// Panels beside each other, which a tile of x meets while it is in the first-level cache, have so many rows of W: few
// enough for the second-level cache to hold them and those that come next.
constexpr int kOuterBlockRows = 32;
// A run's residues lie in the order in which their sums meet two by two: 0, 8, 4, 12, 2, ... (k with k+8, k+4, k+2,
// k+1), which is its own inverse. kMostLevels: of that tree, with the tree of up to eight runs above it.
constexpr int kTreeOrder[16] = {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15};
constexpr int kMostLevels = 7;

// place(k)[n] = word k of row n, of `count` rows of `bytes` bytes that begin `stride` bytes apart; bytes that a last
// word lacks are zero.
template <class Place>
HWY_INLINE void transpose(const uint8_t* rows, index stride, index count, index bytes, const Place& place) {
  using Word = std::remove_pointer_t<decltype(place(index()))>;
  const hn::FixedTag<Word, 4> d;
  const hn::FixedTag<uint8_t, 16> d8;
  const index fours = count / 4 * 4, words = (bytes + 3) / 4, whole = bytes / 16 * 4;
  for (index k = 0; k < whole; k += 4) {
    Word *out0 = place(k), *out1 = place(k + 1), *out2 = place(k + 2), *out3 = place(k + 3);
    const uint8_t* row = rows + 4 * k;
    for (index n = 0; n < fours; n += 4, row += 4 * stride) {
      const auto word = [&](int i) HWY_ATTR { return hn::BitCast(d, hn::LoadU(d8, row + i * stride)); };
      const auto a = word(0), b = word(1), c = word(2), e = word(3);
      const auto ac = hn::InterleaveLower(d, a, c), be = hn::InterleaveLower(d, b, e);
      const auto ac2 = hn::InterleaveUpper(d, a, c), be2 = hn::InterleaveUpper(d, b, e);
      hn::StoreU(hn::InterleaveLower(d, ac, be), d, out0 + n);
      hn::StoreU(hn::InterleaveUpper(d, ac, be), d, out1 + n);
      hn::StoreU(hn::InterleaveLower(d, ac2, be2), d, out2 + n);
      hn::StoreU(hn::InterleaveUpper(d, ac2, be2), d, out3 + n);
    }
  }
  // What no four rows or four words are left of.
  for (index k = 0; k < words; ++k) {
    Word* out = place(k);
    for (index n = k < whole ? fours : 0; n < count; ++n) {
      out[n] = 0;
      std::memcpy(&out[n], rows + n * stride + 4 * k, size_t(std::min<index>(4, bytes - 4 * k)));
    }
  }
}

// Rows of a matrix as they lie in memory.
struct Stretch {
  const uint8_t *codes = nullptr, *scales = nullptr;
  index codes_size = 0, scales_size = 0;
  Stretch() = default;
  Stretch(const Matrix& w, index begin, index end) {
    const auto range = [&](const uint8_t* all, index row, const uint8_t*& from, index& size) {
      from = all + begin * row, size = (end - begin) * row;
    };
    range(w.data, index(w.row_bytes()), codes, codes_size);
    if (w.block_scales) range(w.block_scales, w.cols / Nvfp4::kBlock, scales, scales_size);
  }
};

// Asks for bytes that are needed next in equal parts, one a call: in a burst they would hold up the loads beside them.
class AskAhead {
 public:
  AskAhead(const uint8_t* from, index size, index calls)
      : at_(from), due_(from), end_(from + size), part_(size / std::max<index>(calls, 1) + 1) {}
  HWY_INLINE void part() {
    due_ += std::min(part_, index(end_ - due_));
    for (; at_ < due_; at_ += 64) __builtin_prefetch(at_, 0, 2);
  }

 private:
  const uint8_t *at_, *due_, *end_;
  index part_;
};

// How operands are laid out.
template <class Kind>
struct OuterLayout {
  using W = typename Kind::W;
  static constexpr int kPanels = kOuterBlockRows / Kind::kCols;
  static constexpr index kTree = (kMostLevels + 1) * Kind::kRows * Kind::kCols;  // floats: a tile's sums on their way
  int runs;
  index run_steps;  // of all residues together
  explicit OuterLayout(const Matrix& w) : runs(w.k_segments), run_steps(w.cols / w.k_segments / Kind::kColumns) {}
  int leaves() const { return 16 * runs; }
  index steps(int leaf) const { return (run_steps - kTreeOrder[leaf % 16] + 15) / 16; }
  // From leaf to leaf, in steps of x and in those of W, which hold kSteps of them.
  index x_stride() const { return (run_steps + 15) / 16 + Kind::kApart; }
  index w_stride() const { return (run_steps + 16 * Kind::kSteps - 1) / (16 * Kind::kSteps) + Kind::kApart; }
  index x_size() const { return leaves() * x_stride(); }  // of a tile
  index w_size() const { return leaves() * w_stride(); }  // of a panel
  // Where step k of a run lies.
  int leaf(int run, index k) const { return run * 16 + kTreeOrder[k % 16]; }
  index x_place(int run, index k) const { return leaf(run, k) * x_stride() + k / 16; }
  index w_place(int run, index k) const { return leaf(run, k) * w_stride() + k / (16 * Kind::kSteps); }
  // What outer_rows needs.
  size_t bytes() const { return size_t(kPanels) * (size_t(w_size()) * sizeof(W) + size_t(kTree) * sizeof(float)); }
};

using V32u = hn::Vec<hn::Repartition<uint32_t, D>>;

// Column i of those that a word of each lane holds, the first in the lowest bits. For NVFP4 without the block scales.
template <class Codec>
HWY_INLINE V column(V32u words, int i) {
  const D d;
  const hn::Repartition<uint32_t, D> d32;
  const hn::RebindToSigned<D> i32;
  if constexpr (std::is_same_v<Codec, F32>) {
    return hn::BitCast(d, words);
  } else if constexpr (std::is_same_v<Codec, Bf16>) {
    return hn::BitCast(d, i == 0 ? hn::ShiftLeft<16>(words) : hn::And(words, hn::Set(d32, 0xFFFF0000)));
  } else if constexpr (std::is_same_v<Codec, F16>) {
    return from_f16(i == 0 ? hn::And(words, hn::Set(d32, 0xFFFF)) : hn::ShiftRight<16>(words));
  } else if constexpr (std::is_same_v<Codec, Fp8>) {
    const auto code = hn::ShiftRight<24>(hn::BitCast(i32, hn::ShiftLeftSame(words, 24 - 8 * i)));
    const auto magnitude = hn::And(code, hn::Set(i32, 0x7F));
    return hn::IfThenElse(hn::RebindMask(d, hn::Eq(magnitude, hn::Set(i32, 0x7F))), hn::NaN(d), from_fp8(code));
  } else {  // E2M1: shifted into place and scaled by 2^126, which also turns the subnormal right
    const auto top = hn::ShiftLeftSame(words, 28 - 4 * i);
    const auto magnitude = hn::ShiftRight<6>(hn::And(top, hn::Set(d32, 0x70000000)));
    const auto bits = hn::Or(magnitude, hn::And(top, hn::Set(d32, 0x80000000)));
    return hn::Mul(hn::BitCast(d, bits), hn::Set(d, 0x1p126f));
  }
}

// Formats whose values are BF16 values too: E4M3, and E2M1 times E4M3.
template <class Codec>
constexpr bool kFitsBf16 = std::is_same_v<Codec, Bf16> || std::is_same_v<Codec, Fp8> || std::is_same_v<Codec, Nvfp4>;

#if HWY_TARGET == HWY_AVX3_DL
// E4M3 codes, four columns a word, as BF16: columns 0 and 2 in halves[0], 1 and 3 in halves[1].
HWY_INLINE void fp8_halves(V32u words, V32u (&halves)[2]) {
  const auto look_up = [&](const uint8_t* table) HWY_ATTR {
    return _mm512_permutex2var_epi8(_mm512_load_si512(table), words.raw, _mm512_load_si512(table + 64));
  };
  const __m512i low = look_up(kFp8Bytes.low), sign = _mm512_set1_epi8(char(0x80));
  const __m512i high = _mm512_ternarylogic_epi32(look_up(kFp8Bytes.high), words.raw, sign, 0xF8);  // a | b & c
  const auto join = [](__m512i l, __m512i h)
                        HWY_ATTR { return V32u{_mm512_mask_blend_epi8(0xAAAAAAAAAAAAAAAA, l, h)}; };
  halves[0] = join(low, _mm512_slli_epi32(high, 8));
  halves[1] = join(_mm512_srli_epi32(low, 8), high);
}
constexpr bool kHasFp8Halves = true;
#else
HWY_MAYBE_UNUSED void fp8_halves(V32u, V32u (&)[2]) {}
constexpr bool kHasFp8Halves = false;
#endif

// Some columns of a panel of W, transposed: words of codes, and of block scales, with rows in the lanes.
template <class Codec, int kCols>
class Columns {
 public:
  static constexpr bool kScaled = std::is_same_v<Codec, Nvfp4>;
  static constexpr index kMost = kScaled ? 1024 : 128;  // of scales, too, there are sixteen bytes then

  // Columns first .. first + cols of rows n .. n + count; beyond them up to kMost come zeros.
  void load(const Matrix& w, index n, index count, index first, index cols) {
    const index row_bytes = index(w.row_bytes()), row_blocks = w.cols / Nvfp4::kBlock;
    transpose(w.data + n * row_bytes + first * kBits / 8, row_bytes, count, (cols * kBits + 7) / 8,
              [&](index i) HWY_ATTR { return words_[i]; });
    std::fill(*words_ + (cols + kPer - 1) / kPer * kCols, *words_ + kMost / kPer * kCols, 0u);
    if constexpr (kScaled)
      transpose(w.block_scales + n * row_blocks + first / Nvfp4::kBlock, row_blocks, count, cols / Nvfp4::kBlock,
                [&](index i) HWY_ATTR { return scales_[i]; });
  }

  // The word that column i is in, and its block scale, for the lanes from v on.
  HWY_INLINE V32u word(index i, int v) const { return hn::Load(hn::Repartition<uint32_t, D>(), words_[i / kPer] + v); }
  HWY_INLINE V scale(index i, int v) const {
    const hn::Repartition<uint32_t, D> d32;
    const V32u four = hn::Load(d32, scales_[i / 64] + v);
    return block_scale(hn::And(hn::ShiftRightSame(four, int(i / 16 % 4 * 8)), hn::Set(d32, 0xFF)));
  }

  // put(j, bits of column i + j) for j < 16, for the lanes from v on.
  template <class Put>
  HWY_INLINE void floats(index i, int v, const Put& put) const {
    for (int j = 0; j < 16; ++j) put(j, value(i + j, v));
  }

  // The same as BF16, each with the column that is sixteen further.
  template <class Put>
  HWY_INLINE void pairs(index i, int v, const Put& put) const {
    if constexpr (std::is_same_v<Codec, Bf16>) {
      NEMOTRON_UNROLL
      for (int j = 0; j < 16; j += 2) {
        const V32u a = word(i + j, v), b = word(i + j + 16, v);
        put(j, lower(a, b));
        put(j + 1, upper(a, b));
      }
    } else if constexpr (std::is_same_v<Codec, Fp8> && kHasFp8Halves) {
      NEMOTRON_UNROLL
      for (int j = 0; j < 16; j += 4) {
        V32u a[2], b[2];
        fp8_halves(word(i + j, v), a);
        fp8_halves(word(i + j + 16, v), b);
        NEMOTRON_UNROLL
        for (int odd = 0; odd < 2; ++odd) {
          put(j + odd, lower(a[odd], b[odd]));
          put(j + odd + 2, upper(a[odd], b[odd]));
        }
      }
    } else {
      for (int j = 0; j < 16; ++j) put(j, upper(value(i + j, v), value(i + j + 16, v)));
    }
  }

 private:
  using U32 = hn::Repartition<uint32_t, D>;
  static constexpr index kBits = index(Sixteen<Codec>::kStep) / 2, kPer = 32 / kBits;

  // The halves of two words beside each other.
  static HWY_INLINE V32u lower(V32u a, V32u b) {
    return hn::Or(hn::And(a, hn::Set(U32(), 0xFFFF)), hn::ShiftLeft<16>(b));
  }
  static HWY_INLINE V32u upper(V32u a, V32u b) {
    return hn::Or(hn::ShiftRight<16>(a), hn::And(b, hn::Set(U32(), 0xFFFF0000)));
  }
  HWY_INLINE V32u value(index i, int v) const {
    const V unscaled = column<Codec>(word(i, v), int(i % kPer));
    if constexpr (!kScaled) return hn::BitCast(U32(), unscaled);
    return hn::BitCast(U32(), hn::Mul(unscaled, scale(i, v)));
  }

  HWY_ALIGN uint32_t words_[kMost / kPer][kCols];
  HWY_ALIGN uint32_t scales_[kMost / 64][kCols];
};

// Floats. A step of x is a column; one of W is too, or two in BF16 where that holds the format.
template <bool kPairs>
struct OuterReal {
  static constexpr int kRows = kWidth == 16 ? 12 : 6, kRegs = 2, kCols = kRegs * kWidth;  // a tile: of x, of W
  static constexpr index kColumns = 1, kSteps = kPairs ? 2 : 1;
  // A step more than there are stands between leaves: with a power of two of steps the sixteen would otherwise meet in
  // the same few places of a cache. That of x is 0 where the last pair lacks a column.
  static constexpr index kApart = 1;
  struct W {
    uint32_t bits[kCols];
  };
  struct X {
    float value[kRows];
  };
  static float finish(float total, const Matrix& w) { return total * w.scale; }

  static void lay_out_x(Rows x, const Matrix& w, X* to) {
    const OuterLayout<OuterReal> l(w);
    for (int run = 0; run < l.runs; ++run)
      transpose(reinterpret_cast<const uint8_t*>(x.row<float>(0) + run * l.run_steps), x.stride * 4, x.rows,
                l.run_steps * 4, [&](index k) HWY_ATTR { return to[l.x_place(run, k)].value; });
    for (int leaf = 0; leaf < l.leaves(); ++leaf) to[leaf * l.x_stride() + l.steps(leaf)] = {};
  }

  // Some columns of all rows at a time, so that what is laid out beside each other is written together.
  template <class Codec>
  static void lay_out_w(const Matrix& w, index n, index count, W* to) {
    static_assert(kPairs == kFitsBf16<Codec>);
    using Block = Columns<Codec, kCols>;
    const OuterLayout<OuterReal> l(w);
    Block block;
    for (int run = 0; run < l.runs; ++run)
      for (index k = 0; k < l.run_steps; k += Block::kMost) {
        const index cols = std::min(Block::kMost, l.run_steps - k);
        block.load(w, n, count, run * l.run_steps + k, cols);
        for (index i = 0; i < cols; i += 16 * kSteps)
          for (int v = 0; v < kCols; v += kWidth) {
            const auto put = [&](index j, V32u bits) HWY_ATTR {
              if (i + j < cols) hn::Store(bits, hn::Repartition<uint32_t, D>(), to[l.w_place(run, k + i + j)].bits + v);
            };
            if constexpr (kPairs)
              block.pairs(i, v, put);
            else
              block.floats(i, v, put);
          }
      }
  }

  // acc[m][v] = sum over the steps of x[step][m] * w[step][v].
  template <int kM>
  static HWY_INLINE void residue(const W* w, const X* x, index steps, AskAhead& next, V (&acc)[kM][kRegs]) {
    const D d;
    const hn::Repartition<uint32_t, D> d32;
    for (index i = 0; i < steps; i += kSteps, ++w, x += kSteps) {
      next.part();
      V32u bits[kRegs];
      NEMOTRON_UNROLL
      for (int v = 0; v < kRegs; ++v) bits[v] = hn::Load(d32, w->bits + v * kWidth);
      NEMOTRON_UNROLL
      for (int s = 0; s < kSteps; ++s) {
        V wi[kRegs];
        NEMOTRON_UNROLL
        for (int v = 0; v < kRegs; ++v) wi[v] = kPairs ? column<Bf16>(bits[v], s) : hn::BitCast(d, bits[v]);
        NEMOTRON_UNROLL
        for (int m = 0; m < kM; ++m) {
          const V xi = hn::Set(d, x[s].value[m]);
          NEMOTRON_UNROLL
          for (int v = 0; v < kRegs; ++v) acc[m][v] = fma(xi, wi[v], acc[m][v]);
        }
      }
    }
  }
};

// NVFP4 weights times int8 activations. A step is a block of sixteen columns, in the four fours of XChunk.
template <class Dot>
struct OuterInt8 {
  static constexpr int kRows = kWidth == 16 ? 8 : 6, kRegs = kWidth == 16 ? 2 : 1, kCols = kRegs * kWidth;
  static constexpr index kColumns = Nvfp4::kBlock, kSteps = 1, kApart = 0;
  struct W {
    uint8_t codes[4][kCols * 4];  // as kE2m1Codes
    float scale[kCols];
  };
  struct X {
    struct Row {
      int32_t codes[4];
      int32_t start;
      float scale;
    } row[kRows];
  };
  // Weights count twice in their codes.
  static float finish(float total, const Matrix& w) { return (total + 0.0f) * (w.scale * 0.5f); }

  static void lay_out_x(Rows x, const Matrix& w, X* to) {
    const OuterLayout<OuterInt8> l(w);
    for (index m = 0; m < x.rows; ++m)
      each_chunk(x.row<float>(m), w, [&](int run, index k, const float* columns) HWY_ATTR {
        XChunk chunk;
        quantize_chunk<Dot>(columns, chunk);
        const index first = k * kBlocks;
        for (index b = 0; b < std::min(kBlocks, l.run_steps - first); ++b) {
          auto& row = to[l.x_place(run, first + b)].row[m];
          for (int q = 0; q < 4; ++q) std::memcpy(&row.codes[q], chunk.codes[q] + 4 * b, 4);
          row.start = chunk.start[b];
          row.scale = chunk.scale[b];
        }
      });
  }

  // Four bytes of codes of a row a lane: their low nibbles, which are even columns.
  static HWY_INLINE void decode(V32u four, uint8_t* to) {
    const D8 d8;
    const auto nibbles = hn::And(hn::BitCast(d8, four), hn::Set(d8, 15));
    hn::StoreU(hn::TableLookupBytes(hn::LoadDup128(d8, kE2m1Codes), nibbles), d8, to);
  }

  static void lay_out_w(const Matrix& w, index n, index count, W* to) {
    using Block = Columns<Nvfp4, kCols>;
    constexpr index kMostSteps = Block::kMost / kColumns;
    const OuterLayout<OuterInt8> l(w);
    Block block;
    for (int run = 0; run < l.runs; ++run)
      for (index k = 0; k < l.run_steps; k += kMostSteps) {
        const index steps = std::min(kMostSteps, l.run_steps - k);
        block.load(w, n, count, (run * l.run_steps + k) * kColumns, steps * kColumns);
        for (index i = 0; i < steps; ++i)
          for (int v = 0; v < kCols; v += kWidth) {
            W& out = to[l.w_place(run, k + i)];
            for (int half = 0; half < 2; ++half) {
              const V32u four = block.word(i * kColumns + 8 * half, v);
              decode(four, out.codes[2 * half] + 4 * v);
              decode(hn::ShiftRight<4>(four), out.codes[2 * half + 1] + 4 * v);
            }
            hn::StoreU(block.scale(i * kColumns, v), D(), out.scale + v);
          }
      }
  }

  template <int kM>
  static HWY_INLINE void residue(const W* w, const X* x, index steps, AskAhead& next, V (&acc)[kM][kRegs]) {
    const D d;
    const D32 d32;
    for (index i = 0; i < steps; ++i) {
      next.part();
      V8 codes[kRegs][4];
      V scale[kRegs];
      NEMOTRON_UNROLL
      for (int v = 0; v < kRegs; ++v) {
        NEMOTRON_UNROLL
        for (int q = 0; q < 4; ++q) codes[v][q] = hn::LoadU(D8(), w[i].codes[q] + v * kWidth * 4);
        scale[v] = hn::LoadU(d, w[i].scale + v * kWidth);
      }
      NEMOTRON_UNROLL
      for (int m = 0; m < kM; ++m) {
        const auto& row = x[i].row[m];
        const auto four = [&](int q) HWY_ATTR {
          return hn::BitCast(hn::Repartition<int8_t, D>(), hn::Set(d32, row.codes[q]));
        };
        const decltype(four(0)) xq[4] = {four(0), four(1), four(2), four(3)};
        const V32 start = hn::Set(d32, row.start);
        const V xs = hn::Set(d, row.scale);
        NEMOTRON_UNROLL
        for (int v = 0; v < kRegs; ++v)
          acc[m][v] = fma(hn::ConvertTo(d, Dot::dot(codes[v], xq, start)), hn::Mul(scale[v], xs), acc[m][v]);
      }
    }
  }
};

// Leaf `leaf` of the tree of a tile; levels[l] holds a finished subtree of 2^l leaves. The last leaf's total is left in
// levels[depth].
template <class Kind, int kM>
HWY_NOINLINE void leaf_tile(const typename Kind::W* w, const typename Kind::X* x, index steps, int leaf, float* levels,
                            AskAhead& next) {
  const D d;
  constexpr int kTile = Kind::kRows * Kind::kCols;
  V acc[kM][Kind::kRegs];
  NEMOTRON_UNROLL
  for (int m = 0; m < kM; ++m) NEMOTRON_UNROLL
  for (int v = 0; v < Kind::kRegs; ++v) acc[m][v] = hn::Zero(d);
  AskAhead ask = next;  // in registers
  Kind::residue(w, x, steps, ask, acc);
  next = ask;
  float* level = levels;
  for (int l = leaf; l & 1; l >>= 1, level += kTile) {
    NEMOTRON_UNROLL
    for (int m = 0; m < kM; ++m) NEMOTRON_UNROLL
    for (int v = 0; v < Kind::kRegs; ++v)
      acc[m][v] = hn::Add(hn::LoadU(d, level + m * Kind::kCols + v * kWidth), acc[m][v]);
  }
  NEMOTRON_UNROLL
  for (int m = 0; m < kM; ++m) NEMOTRON_UNROLL
  for (int v = 0; v < Kind::kRegs; ++v) hn::StoreU(acc[m][v], d, level + m * Kind::kCols + v * kWidth);
}

template <class Kind>
using OuterTiles = Tiles<Kind::kRows>;

// Tile i of x [rows, cols].
template <class Kind>
void lay_out_tile(Rows x, const Matrix& w, index i, std::byte* to) {
  const OuterTiles<Kind> t{x.rows};
  Kind::lay_out_x(x.row_range(t.begin(i), t.begin(i + 1)), w,
                  reinterpret_cast<typename Kind::X*>(to) + i * OuterLayout<Kind>(w).x_size());
}

// y[all][n0 .. n1] from laid-out x and at most kOuterBlockRows rows of W, which lay_out_w(w, n, count, to) lays out.
template <class Kind, class LayOutW>
void outer_block(const Matrix& w, Rows y, index n0, index n1, const typename Kind::X* x, std::byte* space,
                 const Stretch& next, const LayOutW& lay_out_w) {
  const OuterTiles<Kind> t{y.rows};
  const OuterLayout<Kind> l(w);
  const index panels = (n1 - n0 + Kind::kCols - 1) / Kind::kCols;
  auto* panel = reinterpret_cast<typename Kind::W*>(space);
  auto* tree = reinterpret_cast<float*>(panel + l.kPanels * l.w_size());
  const auto begin = [&](index j) { return n0 + j * Kind::kCols; };
  const auto count = [&](index j) { return std::min<index>(Kind::kCols, n1 - begin(j)); };
  for (index j = 0; j < panels; ++j) lay_out_w(w, begin(j), count(j), panel + j * l.w_size());
  int depth = 0;
  while (1 << depth < l.leaves()) ++depth;
  AskAhead codes(next.codes, next.codes_size, t.tiles * panels * l.runs * l.run_steps / Kind::kSteps);
  AskAhead scales(next.scales, next.scales_size, t.tiles * l.leaves());
  for (index i = 0; i < t.tiles; ++i, x += l.x_size()) {
    with_count<Kind::kRows>(t.size(i), [&](auto m) HWY_ATTR {
      for (int leaf = 0; leaf < l.leaves(); ++leaf) {
        scales.part();
        for (index j = 0; j < panels; ++j)
          leaf_tile<Kind, m>(panel + j * l.w_size() + leaf * l.w_stride(), x + leaf * l.x_stride(), l.steps(leaf), leaf,
                             tree + j * l.kTree, codes);
      }
    });
    for (index j = 0; j < panels; ++j)
      for (index m = 0; m < t.size(i); ++m) {
        const float* total = tree + j * l.kTree + (depth * Kind::kRows + m) * Kind::kCols;
        float* to = y.row<float>(t.begin(i) + m) + begin(j);
        for (index c = 0; c < count(j); ++c) to[c] = Kind::finish(total[c], w);
      }
  }
}

// y[all][n0 .. n1] from laid-out x and any rows of W; `next` are those that may come after them.
template <class Kind, class LayOutW>
void outer_rows(const Matrix& w, Rows y, index n0, index n1, const std::byte* x, std::byte* space, const Stretch& next,
                const LayOutW& lay_out_w) {
  for (index n = n0, end; n < n1; n = end) {
    end = std::min<index>(n + kOuterBlockRows, n1);
    const Stretch after = end == n1 ? next : Stretch(w, end, std::min<index>(end + kOuterBlockRows, n1));
    outer_block<Kind>(w, y, n, end, reinterpret_cast<const typename Kind::X*>(x), space, after, lay_out_w);
  }
}

}  // namespace
}  // namespace nemotron::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
