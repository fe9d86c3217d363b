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

// Most rows of W that meet a block of columns of x at a time; most runs of columns.
constexpr int kBlockedRows = 16, kMostRuns = 8;

// How far ahead weights are asked for where they are read in the order of memory.
constexpr index kAskAhead = 16 << 10;

// One matrix and the rows that it makes.
struct Product {
  const Matrix& w;
  Rows y;       // of this group only
  index steps;  // in each of the k_segments runs
};

// sum[n][m] += step k of kM rows of x with kN rows of W, for kParts of the kRegs registers that a sum is made of, from
// `part` on. With one row of x each share of W is used once, at once: registers need not hold them all.
template <int kM, int kN, int kParts, class W, class X>
HWY_INLINE void add_step(const W& w, const X& x, index k, int part, V (&sum)[kN][kM][kParts]) {
  using Share = typename W::template Share<kParts>;
  w.template ask_ahead<kN>(k);
  if constexpr (kM == 1) {
    decltype(x.template load<1>(0, k, part)) xk[kParts];
    NEMOTRON_UNROLL
    for (int i = 0; i < kParts; ++i) xk[i] = x.template load<1>(0, k, part + i);
    NEMOTRON_UNROLL
    for (int n = 0; n < kN; ++n) {
      Share wk;
      w.template load<kN>(n, k, part, wk);
      NEMOTRON_UNROLL
      for (int i = 0; i < kParts; ++i) sum[n][0][i] = mac(wk, i, xk[i], sum[n][0][i]);
    }
  } else {
    Share wk[kN];
    NEMOTRON_UNROLL
    for (int n = 0; n < kN; ++n) w.template load<kN>(n, k, part, wk[n]);
    NEMOTRON_UNROLL
    for (int m = 0; m < kM; ++m) {
      NEMOTRON_UNROLL
      for (int i = 0; i < kParts; ++i) {
        const auto xk = x.template load<kM>(m, k, part + i);
        NEMOTRON_UNROLL
        for (int n = 0; n < kN; ++n) sum[n][m][i] = mac(wk[n], i, xk, sum[n][m][i]);
      }
    }
  }
}

// The same for steps begin .. end.
template <int kM, int kN, int kParts, class W, class X>
HWY_INLINE void accumulate(const W& w, const X& x, index begin, index end, int part, V (&sum)[kN][kM][kParts]) {
  index k = begin;
  if constexpr (W::kFour) {
    const typename W::Four four;
    for (; k + 4 <= end; k += 4) w.template add_four<kM, kN>(four, k, x, sum);
  }
  for (; k < end; ++k) add_step<kM, kN, kParts>(w, x, k, part, sum);
}

// total[i / 4], lane i % 4 = the total of sum[i / kM][i % kM].
template <int kM, int kN, int kFours>
HWY_INLINE void totals(const V (&sum)[kN][kM][kRegs], V4 (&total)[kFours]) {
  NEMOTRON_UNROLL
  for (int i = 0; i < kFours; ++i) {
    Sums s[4];
    NEMOTRON_UNROLL
    for (int j = 0; j < 4 * kRegs; ++j) {
      const int from = std::min(4 * i + j / kRegs, kM * kN - 1);
      s[j / kRegs].r[j % kRegs] = sum[from / kM][from % kM][j % kRegs];
    }
    total[i] = total4(fold(s[0]), fold(s[1]), fold(s[2]), fold(s[3]));
  }
}

// y[0 .. kM, n .. n + kN] from kM rows of x and kN rows of W. Nothing but the result goes through memory: where columns
// are few, the way from the sums to it is most of the time.
template <int kM, int kN, class W, class X>
HWY_INLINE void group_end_to_end(const Product& p, Rows y, index n, const W& w, const X& x) {
  constexpr int kFours = (kM * kN + 3) / 4;
  const auto finish = [&](const V4(&total)[kFours]) HWY_ATTR {
    float out[kFours * 4];
    NEMOTRON_UNROLL
    for (int i = 0; i < kFours; ++i) hn::StoreU(X::finish(total[i], p.w), D4(), out + 4 * i);
    NEMOTRON_UNROLL
    for (int i = 0; i < kM * kN; ++i) y.row<float>(i % kM)[n + i / kM] = out[i];
  };
  V4 all[kMostRuns][kFours];
  const int runs = p.w.k_segments;
  for (int run = 0; run < runs; ++run) {
    V sum[kN][kM][kRegs];
    NEMOTRON_UNROLL
    for (int i = 0; i < kM * kN; ++i) NEMOTRON_UNROLL
    for (int j = 0; j < kRegs; ++j) sum[i / kM][i % kM][j] = hn::Zero(D());
    accumulate<kM, kN, kRegs>(w.run(run), x.run(run), 0, p.steps, 0, sum);
    V4 total[kFours];
    totals(sum, total);
    if (runs == 1) return finish(total);
    NEMOTRON_UNROLL
    for (int i = 0; i < kFours; ++i) all[run][i] = total[i];
  }
  for (int stride = 1; stride < runs; stride *= 2) {
    for (int run = 0; run < runs; run += 2 * stride) {
      NEMOTRON_UNROLL
      for (int i = 0; i < kFours; ++i) all[run][i] = hn::Add(all[run][i], all[run + stride][i]);
    }
  }
  finish(all[0]);
}

// y[0 .. kM, n0 .. n1] from kM rows of x, kN rows of W beside each other from end to end and what is left one by one.
template <int kM, int kN, class W, class X>
HWY_NOINLINE void end_to_end(const Product& p, Rows y, index n0, index n1, const W& w, const X& x) {
  index n = n0;
  for (; n + kN <= n1; n += kN) group_end_to_end<kM, kN>(p, y, n, w.from(n - n0), x);
  for (; n < n1; ++n) group_end_to_end<kM, 1>(p, y, n, w.from(n - n0), x);
}

// As accumulate for one register of a sum and for run `run`, with sums[n][m][16] in memory.
template <int kM, int kN, class W, class X>
HWY_INLINE void tile(const W& w, const X& x, index run, index begin, index end, int part, float* sums) {
  const D d;
  V sum[kN][kM][1];
  const auto place = [&](int n, int m) HWY_ATTR { return sums + (n * kM + m) * 16 + part * kWidth; };
  NEMOTRON_UNROLL
  for (int n = 0; n < kN; ++n) NEMOTRON_UNROLL
  for (int m = 0; m < kM; ++m) sum[n][m][0] = begin == 0 ? hn::Zero(d) : hn::LoadU(d, place(n, m));
  accumulate<kM, kN, 1>(w.run(run), x.run(run), begin, end, part, sum);
  NEMOTRON_UNROLL
  for (int n = 0; n < kN; ++n) NEMOTRON_UNROLL
  for (int m = 0; m < kM; ++m) hn::StoreU(sum[n][m][0], d, place(n, m));
}

// out[i] = the total of sums[i][16], for i < count to the next multiple of four.
HWY_INLINE void totals(const float* sums, int count, float* out) {
  Sums s[4];
  for (int i = 0; i < count; i += 4) {
    for (int j = 0; j < 4; ++j) load(sums + std::min(i + j, count - 1) * 16, s[j]);
    hn::StoreU(total4(fold(s[0]), fold(s[1]), fold(s[2]), fold(s[3])), D4(), out + i);
  }
}

// As end_to_end for up to kBlockedRows rows of W, which all pass over one block of columns of x: it stays in the
// first-level cache.
template <int kM, int kN, class W, class X>
HWY_NOINLINE void by_blocks(const Product& p, Rows y, index n0, index n1, const W& w, const X& x) {
  const int count = int(n1 - n0);
  HWY_ALIGN float sums[kBlockedRows * kM * 16];
  float out[kMostRuns][kBlockedRows * kM + 4];
  const int runs = p.w.k_segments;
  for (int run = 0; run < runs; ++run) {
    for (index begin = 0; begin < p.steps; begin += X::kBlockSteps) {
      const index end = std::min(begin + X::kBlockSteps, p.steps);
      const auto group = [&](auto rows, int j) HWY_ATTR {
        for (int part = 0; part < kRegs; ++part)
          tile<kM, rows>(w.from(j), x, run, begin, end, part, sums + j * kM * 16);
      };
      int j = 0;
      for (; j + kN <= count; j += kN) group(std::integral_constant<int, kN>(), j);
      if constexpr (kN > 1)
        for (; j < count; ++j) group(std::integral_constant<int, 1>(), j);
    }
    totals(sums, count * kM, out[run]);
  }
  for (int stride = 1; stride < runs; stride *= 2)
    for (int run = 0; run < runs; run += 2 * stride)
      for (int i = 0; i < count * kM; ++i) out[run][i] += out[run + stride][i];
  for (int i = 0; i < count * kM; i += 4) hn::StoreU(X::finish(hn::LoadU(D4(), out[0] + i), p.w), D4(), out[0] + i);
  for (int j = 0; j < count; ++j)
    for (int m = 0; m < kM; ++m) y.row<float>(m)[n0 + j] = out[0][j * kM + m];
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

// Calls f(std::integral_constant<int, rows>, first row) for tiles of up to kMost rows.
template <int kMost, class F>
HWY_INLINE void each_tile(index rows, const F& f) {
  const Tiles<kMost> t{rows};
  for (index i = 0; i < t.tiles; ++i) with_count<kMost>(t.size(i), [&](auto m) HWY_ATTR { f(m, t.begin(i)); });
}

}  // namespace
}  // namespace nemotron::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
