// The arithmetic limit, measured: independent multiply-adds on the widest registers of the target.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/peak.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include <algorithm>
#include <chrono>

#include "ops/peak.h"

HWY_BEFORE_NAMESPACE();
namespace nemotron::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Ten sums hide the latency of two multiply-adds a cycle and leave registers for the factors. Returns operations done.
double multiply_add(int64_t rounds, float* sink) {
  using D = hn::ScalableTag<float>;
  const D d;
  const auto factor = hn::Set(d, 0.99f), addend = hn::Set(d, 0.01f);
  auto a = hn::Set(d, 1.0f), b = hn::Set(d, 1.1f), c = hn::Set(d, 1.2f), e = hn::Set(d, 1.3f), f = hn::Set(d, 1.4f);
  auto g = hn::Set(d, 1.5f), h = hn::Set(d, 1.6f), i = hn::Set(d, 1.7f), j = hn::Set(d, 1.8f), k = hn::Set(d, 1.9f);
  for (int64_t n = 0; n < rounds; ++n) {
    a = hn::MulAdd(a, factor, addend), b = hn::MulAdd(b, factor, addend), c = hn::MulAdd(c, factor, addend);
    e = hn::MulAdd(e, factor, addend), f = hn::MulAdd(f, factor, addend), g = hn::MulAdd(g, factor, addend);
    h = hn::MulAdd(h, factor, addend), i = hn::MulAdd(i, factor, addend), j = hn::MulAdd(j, factor, addend);
    k = hn::MulAdd(k, factor, addend);
  }
  const auto sum =
      hn::Add(hn::Add(hn::Add(a, b), hn::Add(c, e)), hn::Add(hn::Add(f, g), hn::Add(h, hn::Add(i, hn::Add(j, k)))));
  *sink = hn::GetLane(sum);
  return double(rounds) * 10 * 2 * double(hn::Lanes(d));
}

}  // namespace

double measure_fma_peak_op(Threads& threads) {
  using Clock = std::chrono::steady_clock;
  constexpr int64_t rounds = 2'000'000;
  std::vector<float> sinks(size_t(threads.count()) * 16);
  std::vector<double> done(size_t(threads.count()) * 8);
  double best = 0;
  const auto start = Clock::now();
  do {
    const auto before = Clock::now();
    threads.parallel(threads.count(), 1, [&](int64_t piece, int64_t, int) {
      done[size_t(piece) * 8] = multiply_add(rounds, &sinks[size_t(piece) * 16]);
    });
    const double seconds = std::chrono::duration<double>(Clock::now() - before).count();
    double all = 0;
    for (int t = 0; t < threads.count(); ++t) all += done[size_t(t) * 8];
    best = std::max(best, all / seconds);
  } while (Clock::now() - start < std::chrono::milliseconds(200));
  return best;
}

}  // namespace nemotron::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nemotron {

HWY_EXPORT(measure_fma_peak_op);
double measure_fma_peak(Threads& threads) { return HWY_DYNAMIC_DISPATCH(measure_fma_peak_op)(threads); }

}  // namespace nemotron
#endif
