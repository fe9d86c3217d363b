// Rows of x times rows of W: the one loop that every matrix product runs, whatever its numbers are made of.
//
// A kind of number brings three types, each of which hands out its share of a step, one register at a time: a row of W
// as it lies in the file, a row of W decoded into a panel, and the rows of x. `mac` joins the shares of one W and one x
// to a running sum. What a step is and how it is summed is law 1's business (ops/ops.h) and theirs; tiles, blocks and
// panels below only choose what is computed beside what.

#if defined(NEMOTRON_PRODUCT_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef NEMOTRON_PRODUCT_INL_H
#undef NEMOTRON_PRODUCT_INL_H
#else
#define NEMOTRON_PRODUCT_INL_H
#endif

#include <algorithm>
#include <type_traits>
#include <utility>

#include "ops/cpu/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nemotron::HWY_NAMESPACE {
namespace {

// Most rows of W that tile_rows takes, and those read from the file at a time; most runs of columns.
constexpr int kPanelRows = 32, kFileRows = 4, kMostRuns = 8;

// How far ahead weights are asked for where they are read in the order of memory.
constexpr index kAskAhead = 16 << 10;

// One matrix and the rows that it makes.
struct Product {
  const Matrix& w;
  Rows y;       // of this group only
  index steps;  // in each of the k_segments runs
};

// sum[n][m] += the steps begin .. end of kM rows of x with kN rows of W, for kParts of the kRegs registers that a sum
// is made of, from `part` on.
template <int kM, int kN, int kParts, class W, class X>
HWY_INLINE void accumulate(const W& w, const X& x, index begin, index end, int part, V (&sum)[kN][kM][kParts]) {
  for (index k = begin; k < end; ++k) {
    typename W::template Share<kParts> wk[kN];
    w.template ask_ahead<kN>(k);
    NEMOTRON_UNROLL
    for (int n = 0; n < kN; ++n) w.template load<kN>(n, k, part, wk[n]);
    NEMOTRON_UNROLL
    for (int m = 0; m < kM; ++m) {
      NEMOTRON_UNROLL
      for (int i = 0; i < kParts; ++i) {
        const auto xk = x.load(m, k, part + i);
        NEMOTRON_UNROLL
        for (int n = 0; n < kN; ++n) sum[n][m][i] = mac(wk[n], i, xk, sum[n][m][i]);
      }
    }
  }
}

// The same for run `run`, with sums[n][m][16] in memory.
template <int kM, int kN, int kParts, class W, class X>
HWY_INLINE void tile(const W& w, const X& x, index run, index begin, index end, int part, float* sums) {
  const D d;
  V sum[kN][kM][kParts];
  NEMOTRON_UNROLL
  for (int n = 0; n < kN; ++n) NEMOTRON_UNROLL
  for (int m = 0; m < kM; ++m) NEMOTRON_UNROLL
  for (int i = 0; i < kParts; ++i)
    sum[n][m][i] = begin == 0 ? hn::Zero(d) : hn::LoadU(d, sums + (n * kM + m) * 16 + (part + i) * kWidth);
  accumulate<kM, kN, kParts>(w.run(run), x.run(run), begin, end, part, sum);
  NEMOTRON_UNROLL
  for (int n = 0; n < kN; ++n) NEMOTRON_UNROLL
  for (int m = 0; m < kM; ++m) NEMOTRON_UNROLL
  for (int i = 0; i < kParts; ++i) hn::StoreU(sum[n][m][i], d, sums + (n * kM + m) * 16 + (part + i) * kWidth);
}

// y[0 .. kN] from one row of x and kN rows of W. Nothing but the result goes through memory: where columns are few, the
// way from the sums to it is most of the time.
template <int kN, class W, class X>
HWY_INLINE void one_row_group(const Product& p, const W& w, const X& x, float* y) {
  static_assert(kN == 1 || kN == 2 || kN == 4);
  V4 total[kMostRuns];
  const int runs = p.w.k_segments;
  for (int run = 0; run < runs; ++run) {
    V sum[kN][1][kRegs];
    NEMOTRON_UNROLL
    for (int n = 0; n < kN; ++n) NEMOTRON_UNROLL
    for (int i = 0; i < kRegs; ++i) sum[n][0][i] = hn::Zero(D());
    index done = 0;
    if constexpr (W::kFour) {
      const typename W::Four four;
      for (; done + 4 <= p.steps; done += 4) w.run(run).template add_four<kN>(four, done, x.run(run), sum);
    }
    accumulate<1, kN, kRegs>(w.run(run), x.run(run), done, p.steps, 0, sum);
    Sums s[kN];
    NEMOTRON_UNROLL
    for (int n = 0; n < kN; ++n) NEMOTRON_UNROLL
    for (int i = 0; i < kRegs; ++i) s[n].r[i] = sum[n][0][i];
    total[run] = total4(fold(s[0]), fold(s[1 % kN]), fold(s[2 % kN]), fold(s[3 % kN]));
  }
  for (int stride = 1; stride < runs; stride *= 2)
    for (int run = 0; run < runs; run += 2 * stride) total[run] = hn::Add(total[run], total[run + stride]);
  float out[4];
  hn::StoreU(X::finish(total[0], p.w), D4(), out);
  NEMOTRON_UNROLL
  for (int n = 0; n < kN; ++n) y[n] = out[n];
}

// y[n0 .. n1] from one row of x, kN rows of W beside each other and what is left one by one.
template <int kN, class W, class X>
HWY_NOINLINE void one_row(const Product& p, index n0, index n1, const W& w, const X& x) {
  float* y = p.y.row<float>(0);
  index n = n0;
  for (; n + kN <= n1; n += kN) one_row_group<kN>(p, w.from(n - n0), x, y + n);
  for (; n < n1; ++n) one_row_group<1>(p, w.from(n - n0), x, y + n);
}

// out[i] = the total of sums[i][16], for i < count to the next multiple of four.
HWY_INLINE void totals(const float* sums, int count, float* out) {
  Sums s[4];
  for (int i = 0; i < count; i += 4) {
    for (int j = 0; j < 4; ++j) load(sums + std::min(i + j, count - 1) * 16, s[j]);
    hn::StoreU(total4(fold(s[0]), fold(s[1]), fold(s[2]), fold(s[3])), D4(), out + i);
  }
}

// y[0..kM, n..n+count] from kM rows of x and `count` rows of W, kN beside each other and what is left one by one.
// Blocked, all pass over one block of columns of x, which stays in the first-level cache; else each group of rows from
// end to end.
template <int kM, int kN, int kParts, class W, class X>
HWY_NOINLINE void tile_rows(const Product& p, Rows y, index n, const W& w, int count, const X& x) {
  HWY_ALIGN float sums[kPanelRows * kM * 16];
  static_assert(kMostRuns * kFileRows <= kPanelRows);
  float out[kMostRuns][kPanelRows * kM + 4];
  const int runs = p.w.k_segments;
  const auto group = [&](auto rows, int j, int run, index begin, index end, float* to) HWY_ATTR {
    for (int part = 0; part < kRegs; part += kParts) tile<kM, rows, kParts>(w.from(j), x, run, begin, end, part, to);
  };
  const auto groups = [&](const auto& f) HWY_ATTR {
    int j = 0;
    for (; j + kN <= count; j += kN) f(std::integral_constant<int, kN>(), j);
    if constexpr (kN > 1)
      for (; j < count; ++j) f(std::integral_constant<int, 1>(), j);
  };
  if constexpr (W::kBlocked) {
    const index blocks = (p.steps + X::kBlockSteps - 1) / X::kBlockSteps;
    for (int run = 0; run < runs; ++run) {
      for (index block = 0; block < blocks; ++block)
        groups([&](auto rows, int j) HWY_ATTR {
          group(rows, j, run, p.steps * block / blocks, p.steps * (block + 1) / blocks, sums + j * kM * 16);
        });
      totals(sums, count * kM, out[run]);
    }
  } else {
    groups([&](auto rows, int j) HWY_ATTR {
      for (int run = 0; run < runs; ++run) group(rows, j, run, 0, p.steps, sums + (run * count + j) * kM * 16);
    });
    for (int run = 0; run < runs; ++run) totals(sums + run * count * kM * 16, count * kM, out[run]);
  }
  for (int stride = 1; stride < runs; stride *= 2)
    for (int run = 0; run < runs; run += 2 * stride)
      for (int i = 0; i < count * kM; ++i) out[run][i] += out[run + stride][i];
  for (int i = 0; i < count * kM; i += 4) hn::StoreU(X::finish(hn::LoadU(D4(), out[0] + i), p.w), D4(), out[0] + i);
  for (int j = 0; j < count; ++j)
    for (int m = 0; m < kM; ++m) y.row<float>(m)[n + j] = out[0][j * kM + m];
}

// Calls f(std::integral_constant<int, n>) for n = count, which is 1 .. kMost.
template <int kMost, class F>
HWY_INLINE void with_count(index count, const F& f) {
  [&]<int... n>(std::integer_sequence<int, n...>) HWY_ATTR {
    ((count == n + 1 ? f(std::integral_constant<int, n + 1>()) : void()), ...);
  }
  (std::make_integer_sequence<int, kMost>());
}

// How rows of x are cut into tiles of up to kMost rows, as even as they go.
template <int kMost>
struct Tiles {
  index rows, tiles = (rows + kMost - 1) / kMost;
  index begin(index i) const { return rows * i / tiles; }
  index size(index i) const { return begin(i + 1) - begin(i); }
};

// All rows of x, in tiles of up to kMost rows.
template <int kMost, int kN, int kParts, class W, class X>
HWY_INLINE void all_rows(const Product& p, index n, const W& w, int count, const X& x) {
  const Tiles<kMost> t{p.y.rows};
  for (index i = 0; i < t.tiles; ++i)
    with_count<kMost>(t.size(i), [&](auto m) HWY_ATTR {
      tile_rows<m, kN, kParts>(p, p.y.row_range(t.begin(i), t.begin(i + 1)), n, w, count, x.from(t.begin(i)));
    });
}

}  // namespace
}  // namespace nemotron::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
