// The matrix product of many rows of floats: outer products, with rows of W across the lanes.
//
// Law 1 gives every output sixteen sums, one for each k mod 16 (ops/ops.h). A dot product keeps the sixteen in the
// lanes of a register and so loads two registers for every multiplication. Here the lanes are rows of W, and the
// sixteen sums are made one after the other: for one residue r of k a tile adds up x[m][k] * w[n][k] over k = r, r +
// 16, ..., an x serving two registers of w and a w all rows of the tile, from operands that stay in the first-level
// cache. What is added to what, and in which order, is the same.
//
// Both operands are laid out for it, in the order in which they are read: run of columns, residue, step, row.

#if defined(NEMOTRON_OUTER_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef NEMOTRON_OUTER_INL_H
#undef NEMOTRON_OUTER_INL_H
#else
#define NEMOTRON_OUTER_INL_H
#endif

#include <algorithm>

#include "ops/cpu/real-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nemotron::HWY_NAMESPACE {
namespace {

// A tile: rows of x, and registers of rows of W; as many sums as registers hold.
constexpr int kOuterRows = kWidth == 16 ? 12 : 6, kOuterRegs = 2, kOuterCols = kOuterRegs * kWidth;
// Panels of kOuterCols rows of W beside each other, which a tile of x meets while it is in the first-level cache.
constexpr int kOuterPanels = 64 / kOuterCols;
// Columns of W that are decoded before they are laid out.
constexpr index kOuterBlock = 128;
// A run's residues lie in the order in which their sums meet two by two: 0, 8, 4, 12, 2, ... (k with k+8, k+4, k+2,
// k+1), which is its own inverse. kMostLevels: of that tree, with the tree of up to eight runs above it.
constexpr int kTreeOrder[16] = {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15};
constexpr int kMostLevels = 7;

// Columns of `count` rows of floats, `stride` apart, into one run of columns, of which the first begins step `first`:
// residue_stride floats for each residue, `width` for each step of it. Columns beyond `cols` up to a whole step count
// as zeros.
HWY_MAYBE_UNUSED void lay_out(const float* rows, index stride, index count, index cols, index first, float* to,
                              index residue_stride, index width) {
  const D4 d;
  const index fours = count / 4 * 4, whole = cols / 4 * 4;
  const auto place = [&](index k)
                         HWY_ATTR { return to + kTreeOrder[k % 16] * residue_stride + (first + k / 16) * width; };
  for (index k = 0; k < whole; k += 4) {
    float *out0 = place(k), *out1 = place(k + 1), *out2 = place(k + 2), *out3 = place(k + 3);
    const float* row = rows + k;
    for (index n = 0; n < fours; n += 4, row += 4 * stride) {
      const V4 a = hn::LoadU(d, row), b = hn::LoadU(d, row + stride);
      const V4 c = hn::LoadU(d, row + 2 * stride), e = hn::LoadU(d, row + 3 * stride);
      const V4 ac = hn::InterleaveLower(d, a, c), be = hn::InterleaveLower(d, b, e);
      const V4 ac2 = hn::InterleaveUpper(d, a, c), be2 = hn::InterleaveUpper(d, b, e);
      hn::StoreU(hn::InterleaveLower(d, ac, be), d, out0 + n);
      hn::StoreU(hn::InterleaveUpper(d, ac, be), d, out1 + n);
      hn::StoreU(hn::InterleaveLower(d, ac2, be2), d, out2 + n);
      hn::StoreU(hn::InterleaveUpper(d, ac2, be2), d, out3 + n);
    }
  }
  // What no four rows or four columns are left of, and zeros.
  for (index k = 0; k < round_up(cols, 16); ++k)
    for (index n = k < whole ? fours : 0; n < count; ++n) place(k)[n] = k < cols ? rows[n * stride + k] : 0.0f;
}

// Sums of one residue: acc[m][v] = sum over the steps of x[step][m] * w[step][v].
template <int kM>
HWY_INLINE void residue(const float* w, const float* x, index steps, V (&acc)[kM][kOuterRegs]) {
  const D d;
  NEMOTRON_UNROLL
  for (int m = 0; m < kM; ++m) NEMOTRON_UNROLL
  for (int v = 0; v < kOuterRegs; ++v) acc[m][v] = hn::Zero(d);
  for (index i = 0; i < steps; ++i, w += kOuterCols, x += kOuterRows) {
    V wi[kOuterRegs];
    NEMOTRON_UNROLL
    for (int v = 0; v < kOuterRegs; ++v) wi[v] = hn::LoadU(d, w + v * kWidth);
    NEMOTRON_UNROLL
    for (int m = 0; m < kM; ++m) {
      const V xi = hn::Set(d, x[m]);
      NEMOTRON_UNROLL
      for (int v = 0; v < kOuterRegs; ++v) acc[m][v] = fma(xi, wi[v], acc[m][v]);
    }
  }
}

// Leaf `leaf` of the tree of a tile; levels[l] holds a finished subtree of 2^l leaves. The last leaf's total is left in
// levels[depth].
template <int kM>
HWY_NOINLINE void leaf_tile(const float* w, const float* x, index steps, int leaf, float* levels) {
  const D d;
  constexpr int kTile = kOuterRows * kOuterCols;
  V acc[kM][kOuterRegs];
  residue<kM>(w, x, steps, acc);
  float* level = levels;
  for (int l = leaf; l & 1; l >>= 1, level += kTile) {
    NEMOTRON_UNROLL
    for (int m = 0; m < kM; ++m) NEMOTRON_UNROLL
    for (int v = 0; v < kOuterRegs; ++v)
      acc[m][v] = hn::Add(hn::LoadU(d, level + m * kOuterCols + v * kWidth), acc[m][v]);
  }
  NEMOTRON_UNROLL
  for (int m = 0; m < kM; ++m) NEMOTRON_UNROLL
  for (int v = 0; v < kOuterRegs; ++v) hn::StoreU(acc[m][v], d, level + m * kOuterCols + v * kWidth);
}

using OuterTiles = Tiles<kOuterRows>;

// How operands are laid out. A line more than the steps need stands between residues: with a power of two of steps the
// sixteen would otherwise meet in the same few places of a cache.
struct OuterLayout {
  int runs;
  index steps, panel_stride, tile_stride;  // floats of a residue of a panel of W, of a tile of x
  explicit OuterLayout(const Matrix& w)
      : runs(w.k_segments),
        steps(real_steps(w)),
        panel_stride(steps * kOuterCols + 16),
        tile_stride(steps * kOuterRows + 16) {}
  int leaves() const { return 16 * runs; }
  index panel_size() const { return leaves() * panel_stride; }
  index tile_size() const { return leaves() * tile_stride; }
};

// Floats of the sums of a tile on their way up the tree, and all that outer_rows needs.
constexpr index kOuterTree = (kMostLevels + 1) * kOuterRows * kOuterCols;
index outer_space(const Matrix& w) { return kOuterPanels * (OuterLayout(w).panel_size() + kOuterTree); }

// Tile i of x [rows, cols].
HWY_MAYBE_UNUSED void lay_out_tile(Rows x, const Matrix& w, index i, float* to) {
  const OuterTiles t{x.rows};
  const OuterLayout l(w);
  const index run_cols = w.cols / w.k_segments;
  for (int run = 0; run < l.runs; ++run)
    lay_out(x.row<float>(t.begin(i)) + run * run_cols, x.stride, t.size(i), run_cols, 0,
            to + i * l.tile_size() + run * 16 * l.tile_stride, l.tile_stride, kOuterRows);
}

// Asks for the next block of columns of a row, which is that of a later row beyond the end.
template <class Codec>
HWY_INLINE void ask_for(const Matrix& w, index row, index k) {
  if (k >= w.cols) row += kOuterCols, k -= w.cols;
  const uint8_t* codes = w.data + row * index(w.row_bytes()) + k / 16 * Sixteen<Codec>::kStep;
  for (index i = 0; i < kOuterBlock / 16 * Sixteen<Codec>::kStep; i += 64) hwy::Prefetch(codes + i);
}

// Rows n .. n + count of W, some columns of all rows at a time, so that what is laid out beside each other is written
// together.
template <class Codec>
void lay_out_panel(const Matrix& w, index n, index count, float* to) {
  const OuterLayout l(w);
  const index run_cols = w.cols / w.k_segments;
  HWY_ALIGN float decoded[kOuterCols * kOuterBlock];
  for (int run = 0; run < l.runs; ++run, to += 16 * l.panel_stride) {
    for (index k = 0; k < run_cols; k += kOuterBlock) {
      const index cols = std::min(kOuterBlock, run_cols - k);
      for (index i = 0; i < count; ++i) {
        const index at = run * run_cols + k;
        ask_for<Codec>(w, n + i, at + kOuterBlock);
        decode_real<Codec>(w, n + i, at, cols, decoded + i * kOuterBlock);
      }
      lay_out(decoded, kOuterBlock, count, cols, k / 16, to, l.panel_stride, kOuterCols);
    }
  }
}

// y[all][n0 .. n1] from laid-out x and rows of W.
template <class Codec>
void outer_rows(const Product& p, index n0, index n1, const float* x, float* space) {
  const Matrix& w = p.w;
  const OuterTiles t{p.y.rows};
  const OuterLayout l(w);
  float* trees = space + kOuterPanels * l.panel_size();
  const auto panel = [&](index j) { return space + j * l.panel_size(); };
  int depth = 0;
  while (1 << depth < l.leaves()) ++depth;
  for (index n = n0; n < n1; n += kOuterPanels * kOuterCols) {
    const index panels = std::min<index>(kOuterPanels, (n1 - n + kOuterCols - 1) / kOuterCols);
    const auto width = [&](index j) { return std::min<index>(kOuterCols, n1 - n - j * kOuterCols); };
    for (index j = 0; j < panels; ++j) lay_out_panel<Codec>(w, n + j * kOuterCols, width(j), panel(j));
    for (index i = 0; i < t.tiles; ++i) {
      const float* tile = x + i * l.tile_size();
      with_count<kOuterRows>(t.size(i), [&](auto m) HWY_ATTR {
        for (int leaf = 0; leaf < l.leaves(); ++leaf)
          for (index j = 0; j < panels; ++j)
            leaf_tile<m>(panel(j) + leaf * l.panel_stride, tile + leaf * l.tile_stride, l.steps, leaf,
                         trees + j * kOuterTree);
      });
      for (index j = 0; j < panels; ++j)
        for (index m = 0; m < t.size(i); ++m) {
          const float* total = trees + j * kOuterTree + (depth * kOuterRows + m) * kOuterCols;
          float* y = p.y.row<float>(t.begin(i) + m) + n + j * kOuterCols;
          for (index c = 0; c < width(j); ++c) y[c] = total[c] * w.scale;
        }
    }
  }
}

}  // namespace
}  // namespace nemotron::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
