// Matrix products: every output is the same sixteen sums whether it is computed alone, in a small batch or in a GEMM.
//
// Up to kMostRows rows of x, the weights are converted in registers, and each weight byte is read once. Beyond that a
// panel of weight rows is decoded once into cache and every tile of x runs over it. Both share one inner loop.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/linear.cc"
#include <hwy/foreach_target.h>
//
#include <algorithm>
#include <array>

#include "ops/cpu/kernels.h"
#include "ops/cpu/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nemotron::HWY_NAMESPACE {
namespace {

// Sources: where sixteen weights of a row come from; k is a multiple of 16.

struct Decoded {
  const float* row;
  HWY_INLINE void load16(index k, Sums& w) const { load(row + k, w); }
};

template <class Codec>
struct Coded;

template <>
struct Coded<F32> {
  const uint8_t* codes;
  Coded(const Matrix& w, index row) : codes(w.data + row * w.cols * 4) {}
  HWY_INLINE void load16(index k, Sums& w) const {
    const D d;
    const hn::Repartition<uint8_t, D> d8;
    for (int i = 0; i < kRegs; ++i) w.r[i] = hn::BitCast(d, hn::LoadU(d8, codes + (k + i * kWidth) * 4));
  }
};

template <>
struct Coded<Bf16> {
  const uint8_t* codes;
  Coded(const Matrix& w, index row) : codes(w.data + row * w.cols * 2) {}
  HWY_INLINE void load16(index k, Sums& w) const {
    const D d;
    const hn::Rebind<uint32_t, D> d32;
    const hn::Rebind<uint16_t, D> d16;
    const hn::Repartition<uint8_t, decltype(d16)> d8;
    for (int i = 0; i < kRegs; ++i) {
      const auto half = hn::BitCast(d16, hn::LoadU(d8, codes + (k + i * kWidth) * 2));
      w.r[i] = hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(d32, half)));
    }
  }
};

// A small float widened by shifting its exponent and mantissa into place and scaling by 2^(127 - bias), which also
// turns subnormals right; `special` is the smallest magnitude that is no finite number.
template <int kShift, int kSignShift, uint32_t kMagnitude, uint32_t kSpecial>
HWY_INLINE V widen(hn::Vec<hn::Rebind<uint32_t, D>> code, float scale, uint32_t infinity) {
  const D d;
  const hn::Rebind<uint32_t, D> d32;
  const auto magnitude = hn::And(code, hn::Set(d32, kMagnitude));
  const auto sign = hn::ShiftLeft<kSignShift>(hn::AndNot(hn::Set(d32, kMagnitude), code));
  const auto finite = hn::BitCast(d32, hn::Mul(hn::BitCast(d, hn::ShiftLeft<kShift>(magnitude)), hn::Set(d, scale)));
  const auto is_special = hn::Gt(magnitude, hn::Set(d32, kSpecial - 1));
  const auto special = hn::Or(hn::Set(d32, infinity), hn::ShiftLeft<kShift>(magnitude));
  return hn::BitCast(d, hn::Or(sign, hn::IfThenElse(hn::RebindMask(d32, is_special), special, finite)));
}

template <>
struct Coded<F16> {
  const uint8_t* codes;
  Coded(const Matrix& w, index row) : codes(w.data + row * w.cols * 2) {}
  HWY_INLINE void load16(index k, Sums& w) const {
    const hn::Rebind<uint32_t, D> d32;
    const hn::Rebind<uint16_t, D> d16;
    const hn::Repartition<uint8_t, decltype(d16)> d8;
    for (int i = 0; i < kRegs; ++i) {
      const auto half = hn::BitCast(d16, hn::LoadU(d8, codes + (k + i * kWidth) * 2));
      w.r[i] = widen<13, 16, 0x7FFF, 0x7C00>(hn::PromoteTo(d32, half), 0x1p112f, 0x7F800000);
    }
  }
};

template <>
struct Coded<Fp8> {
  const uint8_t* codes;
  Coded(const Matrix& w, index row) : codes(w.data + row * w.cols) {}
  HWY_INLINE void load16(index k, Sums& w) const {
    const hn::Rebind<uint32_t, D> d32;
    const hn::Rebind<uint8_t, D> d8;
    for (int i = 0; i < kRegs; ++i)
      w.r[i] =
          widen<20, 24, 0x7F, 0x7F>(hn::PromoteTo(d32, hn::LoadU(d8, codes + k + i * kWidth)), 0x1p120f, 0x7FC00000);
  }
};

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
struct Coded<Nvfp4> {
  const uint8_t* codes;
  const uint8_t* scales;
  const float* values = cpu::e4m3_values();
  Coded(const Matrix& w, index row)
      : codes(w.data + row * (w.cols / 2)), scales(w.block_scales + row * (w.cols / Nvfp4::kBlock)) {}
  HWY_INLINE void load16(index k, Sums& w) const {
    const hn::FixedTag<uint8_t, 8> d8;
    const hn::FixedTag<uint16_t, 8> d16;
    const V scale = hn::Set(D(), values[scales[k / Nvfp4::kBlock]]);
    // One code a byte, in order: the low nibble of each byte comes first.
    const auto pairs = hn::PromoteTo(d16, hn::LoadU(d8, codes + k / 2));
    const auto nibbles =
        hn::Or(hn::And(pairs, hn::Set(d16, 0x0F)), hn::ShiftLeft<4>(hn::And(pairs, hn::Set(d16, 0xF0))));
    e2m1_values(hn::BitCast(hn::FixedTag<uint8_t, 16>(), nibbles), w);
    for (int i = 0; i < kRegs; ++i) w.r[i] = hn::Mul(w.r[i], scale);
  }
};

// Rows of x and of W that a tile multiplies: as many sums as registers hold.
constexpr int kMostRows = kWidth == 16 ? 4 : kWidth == 8 ? 3 : 2;
constexpr int kTileCols = kWidth == 16 ? 4 : 2;

// out[m * kN + n] = x[m] . w[n] over columns begin .. end of one run; a part of sixteen at the end comes padded from
// x_tail, w_tail.
template <int kM, int kN, class Source>
HWY_INLINE void tile(const float* const* x, const Source* w, index begin, index end, const float* const* x_tail,
                     const float* const* w_tail, float* out) {
  Sums sum[kM * kN];
  for (Sums& s : sum) clear(s);
  const auto step = [&](const auto& w16, const auto& x16) HWY_ATTR {
    Sums wv[kN], xv;
    for (int n = 0; n < kN; ++n) w16(n, wv[n]);
    for (int m = 0; m < kM; ++m) {
      x16(m, xv);
      for (int n = 0; n < kN; ++n)
        for (int i = 0; i < kRegs; ++i) sum[m * kN + n].r[i] = fma(xv.r[i], wv[n].r[i], sum[m * kN + n].r[i]);
    }
  };
  const index whole = begin + (end - begin) / 16 * 16;
  for (index k = begin; k < whole; k += 16)
    step([&](int n, Sums& v) HWY_ATTR { w[n].load16(k, v); }, [&](int m, Sums& v) HWY_ATTR { load(x[m] + k, v); });
  if (whole < end)
    step([&](int n, Sums& v) HWY_ATTR { load(w_tail[n], v); }, [&](int m, Sums& v) HWY_ATTR { load(x_tail[m], v); });
  constexpr int kSums = kM * kN;
  for (int i = 0; i < kSums; i += 4) {
    const auto at = [&](int j) HWY_ATTR { return fold(sum[std::min(i + j, kSums - 1)]); };
    hn::StoreU(total4(at(0), at(1), at(2), at(3)), D4(), out + i);
  }
}

// One product: rows [0, rows) of x with weight rows n0 .. n1, written to y.
struct Product {
  const Matrix& w;
  Rows x, y;             // of this group only
  const float* x_tails;  // [x.rows, 16]: what is left of each row of x after its last whole sixteen, padded
};

// y[t..t+kM, n..n+kN] = tile, the runs of columns meeting in a binary tree.
template <int kM, int kN, class Source>
HWY_INLINE void tile_rows(const Product& p, index t, index n, const Source* w, const float* const* w_tail) {
  const int runs = p.w.k_segments;
  const index K = p.w.cols;
  const float *x[kM], *x_tail[kM];
  for (int m = 0; m < kM; ++m) x[m] = p.x.row<float>(t + m), x_tail[m] = p.x_tails + (t + m) * 16;
  float out[8][(kM * kN + 3) / 4 * 4];
  for (int s = 0; s < runs; ++s) tile<kM, kN>(x, w, K / runs * s, K / runs * (s + 1), x_tail, w_tail, out[s]);
  for (int stride = 1; stride < runs; stride *= 2)
    for (int s = 0; s < runs; s += 2 * stride)
      for (int i = 0; i < kM * kN; ++i) out[s][i] += out[s + stride][i];
  for (int m = 0; m < kM; ++m)
    for (int j = 0; j < kN; ++j) p.y.row<float>(t + m)[n + j] = out[0][m * kN + j] * p.w.scale;
}

// All rows of x, in tiles of up to kMostRows, against kN sources.
template <int kN, class Source>
HWY_INLINE void all_rows(const Product& p, index n, const Source* w, const float* const* w_tail) {
  index t = 0;
  for (; t + kMostRows <= p.x.rows; t += kMostRows) tile_rows<kMostRows, kN>(p, t, n, w, w_tail);
  switch (p.x.rows - t) {
    case 3:
      if constexpr (kMostRows > 3) tile_rows<3, kN>(p, t, n, w, w_tail);
      break;
    case 2:
      if constexpr (kMostRows > 2) tile_rows<2, kN>(p, t, n, w, w_tail);
      break;
    case 1:
      tile_rows<1, kN>(p, t, n, w, w_tail);
      break;
    default:
      break;
  }
}

// The columns after the last whole sixteen of weight row n, padded with zeros.
void decode_tail(const Matrix& w, index n, float* tail) {
  const index whole = w.cols / 16 * 16;
  std::fill_n(tail, 16, 0.0f);
  decode_row(w, n, whole, w.cols - whole, tail);
}

// Few rows of x: weights are converted on the way, each read once.
template <class Codec, int kN>
HWY_INLINE void few_rows(const Product& p, index n) {
  std::array<Coded<Codec>, kN> w = [&]<size_t... i>(std::index_sequence<i...>) {
    return std::array<Coded<Codec>, kN>{Coded<Codec>(p.w, n + index(i))...};
  }
  (std::make_index_sequence<kN>());
  float tails[kN][16];
  const float* w_tail[kN];
  for (int j = 0; j < kN; ++j) {
    if (p.w.cols % 16) decode_tail(p.w, n + j, tails[j]);
    w_tail[j] = tails[j];
  }
  all_rows<kN>(p, n, w.data(), w_tail);
}

constexpr index kPanelRows = 8;

// Many rows of x: kPanelRows weight rows at a time are decoded into `panel` [kPanelRows, K to the next 16].
template <class Codec>
HWY_INLINE void many_rows(const Product& p, index n0, index n1, float* panel) {
  const index K = p.w.cols, whole = K / 16 * 16, stride = round_up(K, 16);
  for (index n = n0; n < n1; n += kPanelRows) {
    const index count = std::min(kPanelRows, n1 - n);
    Decoded w[kPanelRows];
    const float* w_tail[kPanelRows];
    for (index j = 0; j < count; ++j) {
      float* row = panel + j * stride;
      const Coded<Codec> coded(p.w, n + j);
      Sums v;
      for (index k = 0; k < whole; k += 16) {
        coded.load16(k, v);
        store(v, row + k);
      }
      if (whole < K) decode_tail(p.w, n + j, row + whole);
      w[j] = {row};
      w_tail[j] = row + whole;
    }
    // Tiles of x outside, so that one stays in the first-level cache while the panel passes over it.
    for (index t = 0; t < p.x.rows; t += kMostRows) {
      const index rows = std::min<index>(kMostRows, p.x.rows - t);
      const Product part{p.w, p.x.row_range(t, t + rows), p.y.row_range(t, t + rows), p.x_tails + t * 16};
      index j = 0;
      for (; j + kTileCols <= count; j += kTileCols) all_rows<kTileCols>(part, n + j, w + j, w_tail + j);
      for (; j < count; ++j) all_rows<1>(part, n + j, w + j, w_tail + j);
    }
  }
}

template <class Codec>
void product(const Product& p, index n0, index n1, float* panel) {
  if (p.x.rows > kMostRows) return many_rows<Codec>(p, n0, n1, panel);
  index n = n0;
  if (p.x.rows == 1) {
    for (; n + 4 <= n1; n += 4) few_rows<Codec, 4>(p, n);
  } else {
    for (; n + kTileCols <= n1; n += kTileCols) few_rows<Codec, kTileCols>(p, n);
  }
  for (; n < n1; ++n) few_rows<Codec, 1>(p, n);
}

// Weight rows a piece of work covers: a few panels.
constexpr index kBlockRows = 32;

void linear(Threads& threads, Arena& arena, std::span<const Group> groups, Rows x, Rows y) {
  const Scratch scratch(arena);
  index most_cols = 0, blocks = 0, work = 0;
  auto* first_block = arena.array<index>(groups.size() + 1);
  for (size_t g = 0; g < groups.size(); ++g) {
    const auto& [w, begin, end] = groups[g];
    first_block[g] = blocks;
    if (end > begin) {
      blocks += (w->rows + kBlockRows - 1) / kBlockRows;
      work += w->rows * w->cols * (end - begin);
      most_cols = std::max(most_cols, w->cols);
    }
  }
  first_block[groups.size()] = blocks;
  if (blocks == 0) return;
  const index K = x.cols, whole = K / 16 * 16;
  auto* tails = arena.array<float>(size_t(x.rows) * 16);
  if (whole < K) {
    std::fill_n(tails, x.rows * 16, 0.0f);
    for (index t = 0; t < x.rows; ++t) std::copy(x.row<float>(t) + whole, x.row<float>(t) + K, tails + t * 16);
  }
  const index panel_size = kPanelRows * round_up(most_cols, 16);
  auto* panels = arena.array<float>(size_t(panel_size * threads.count()));
  constexpr index kWorthwhile = 1 << 16;  // multiplications that outweigh handing a piece to a thread
  const index grain = std::max<index>(1, kWorthwhile * blocks / std::max<index>(work, 1));
  threads.parallel(blocks, grain, [&](index begin, index end, int thread) {
    size_t g = size_t(std::upper_bound(first_block, first_block + groups.size() + 1, begin) - first_block) - 1;
    for (index b = begin; b < end; ++b) {
      while (b >= first_block[g + 1]) ++g;
      const Group& group = groups[g];
      const index n0 = (b - first_block[g]) * kBlockRows, n1 = std::min(n0 + kBlockRows, group.w->rows);
      const Product p{*group.w, x.row_range(group.begin, group.end), y.row_range(group.begin, group.end),
                      tails + group.begin * 16};
      visit_format(group.w->format,
                   [&](auto codec) { product<decltype(codec)>(p, n0, n1, panels + thread * panel_size); });
    }
  });
}

}  // namespace
void linear_op(Threads& threads, Arena& arena, std::span<const Group> groups, Rows x, Rows y) {
  linear(threads, arena, groups, x, y);
}
}  // namespace nemotron::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nemotron {
HWY_EXPORT(linear_op);

void cpu::linear(Threads& threads, Arena& arena, std::span<const Group> groups, Rows x, Rows y) {
  HWY_DYNAMIC_DISPATCH(linear_op)(threads, arena, groups, x, y);
}
}  // namespace nemotron
#endif
