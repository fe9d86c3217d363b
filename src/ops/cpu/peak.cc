// The arithmetic limits, measured: independent chains of products on the registers of the target.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/peak.cc"
#include <hwy/foreach_target.h>
//
#include <algorithm>
#include <chrono>
#include <vector>

#include "ops/cpu/int8-inl.h"
#include "ops/cpu/kernels.h"
#include "ops/peak.h"

HWY_BEFORE_NAMESPACE();
namespace nemotron::HWY_NAMESPACE {
namespace {

// Ten sums hide the latency of two products a cycle and leave registers for the factors. Both return operations done.
double multiply_add(int64_t rounds, float* sink) {
  const D d;
  const V factor = hn::Set(d, 0.99f), addend = hn::Set(d, 0.01f);
  V a = hn::Set(d, 1.0f), b = hn::Set(d, 1.1f), c = hn::Set(d, 1.2f), e = hn::Set(d, 1.3f), f = hn::Set(d, 1.4f);
  V g = hn::Set(d, 1.5f), h = hn::Set(d, 1.6f), i = hn::Set(d, 1.7f), j = hn::Set(d, 1.8f), k = hn::Set(d, 1.9f);
  for (int64_t n = 0; n < rounds; ++n) {
    a = hn::MulAdd(a, factor, addend), b = hn::MulAdd(b, factor, addend), c = hn::MulAdd(c, factor, addend);
    e = hn::MulAdd(e, factor, addend), f = hn::MulAdd(f, factor, addend), g = hn::MulAdd(g, factor, addend);
    h = hn::MulAdd(h, factor, addend), i = hn::MulAdd(i, factor, addend), j = hn::MulAdd(j, factor, addend);
    k = hn::MulAdd(k, factor, addend);
  }
  const V abc = hn::Add(hn::Add(a, b), c), efg = hn::Add(hn::Add(e, f), g), hij = hn::Add(hn::Add(h, i), j);
  *sink = hn::GetLane(hn::Add(hn::Add(abc, efg), hn::Add(hij, k)));
  return double(rounds) * 10 * 2 * kWidth;
}

// The compiler may not know what is in a register after this, so that every product with it is made.
template <class Vector>
HWY_INLINE void forget(Vector& v) {
#if HWY_ARCH_X86
  __asm__ volatile("" : "+x"(v.raw));
#else
  __asm__ volatile("" : "+w"(v.raw));
#endif
}

template <class Dot>
double multiply_int8(int64_t rounds, float* sink) {
  const D8 d8;
  const hn::Repartition<int8_t, D> x8;
  const D32 d32;
  V8 w[4] = {hn::Set(d8, uint8_t{1}), hn::Set(d8, uint8_t{2}), hn::Set(d8, uint8_t{3}), hn::Set(d8, uint8_t{4})};
  const hn::Vec<decltype(x8)> x[4] = {hn::Set(x8, int8_t{1}), hn::Set(x8, int8_t{-2}), hn::Set(x8, int8_t{3}),
                                      hn::Set(x8, int8_t{-4})};
  V32 a = hn::Zero(d32), b = a, c = a, e = a, f = a, g = a, h = a, i = a, j = a, k = a;
  const auto dot = [&](V32& sum) HWY_ATTR {
    for (V8& one : w) forget(one);
    sum = Dot::dot(w, x, sum);
  };
  for (int64_t n = 0; n < rounds; ++n) {
    dot(a), dot(b), dot(c), dot(e), dot(f);
    dot(g), dot(h), dot(i), dot(j), dot(k);
  }
  const V32 abc = hn::Add(hn::Add(a, b), c), efg = hn::Add(hn::Add(e, f), g), hij = hn::Add(hn::Add(h, i), j);
  *sink = float(hn::GetLane(hn::Add(hn::Add(abc, efg), hn::Add(hij, k))));
  return double(rounds) * 10 * 4 * 2 * 4 * kWidth;
}

// Best of about 0.2 s; `chain` returns the operations of one thread.
template <class Chain>
double best(Threads& threads, const Chain& chain) {
  using Clock = std::chrono::steady_clock;
  std::vector<float> sinks(size_t(threads.count()) * 16);
  std::vector<double> done(size_t(threads.count()) * 8);
  double most = 0;
  const auto start = Clock::now();
  do {
    const auto before = Clock::now();
    threads.parallel(threads.count(), 1,
                     [&](int64_t piece, int64_t, int) { done[size_t(piece) * 8] = chain(&sinks[size_t(piece) * 16]); });
    const double seconds = std::chrono::duration<double>(Clock::now() - before).count();
    double all = 0;
    for (int t = 0; t < threads.count(); ++t) all += done[size_t(t) * 8];
    most = std::max(most, all / seconds);
  } while (Clock::now() - start < std::chrono::milliseconds(200));
  return most;
}

}  // namespace

double measure_fma_peak_op(Threads& threads) {
  return best(threads, [](float* sink) { return multiply_add(2'000'000, sink); });
}

double measure_int8_peak_op(Threads& threads) {
  return best(threads, [](float* sink) {
#if HWY_TARGET == HWY_AVX3_DL
    return multiply_int8<Vnni>(500'000, sink);
#elif HWY_TARGET == HWY_AVX2
    return cpu::avx_vnni() ? multiply_int8<Vnni>(500'000, sink) : multiply_int8<Widening>(500'000, sink);
#else
    return multiply_int8<Widening>(500'000, sink);
#endif
  });
}

}  // namespace nemotron::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nemotron {

HWY_EXPORT(measure_fma_peak_op);
HWY_EXPORT(measure_int8_peak_op);
double measure_fma_peak(Threads& threads) { return HWY_DYNAMIC_DISPATCH(measure_fma_peak_op)(threads); }
double measure_int8_peak(Threads& threads) { return HWY_DYNAMIC_DISPATCH(measure_int8_peak_op)(threads); }

}  // namespace nemotron
#endif
