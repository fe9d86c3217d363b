// What the tests of ops share: numbers that both backends take, every target and thread count in turn, rounding bounds.

#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "ops/ops.h"

namespace nemotron::test {

using Rng = std::mt19937_64;

constexpr double kUnit = 0x1p-24;   // the largest relative error of one rounding to float32
constexpr double kTiny = 0x1p-149;  // the least positive float32: where results are subnormal, errors are absolute

inline std::vector<float> random_floats(Rng& rng, index count, float spread = 1) {
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> v(static_cast<size_t>(count));
  for (float& x : v) x = normal(rng);
  return v;
}

// Floats of any bits: every exponent as likely as any other, subnormals, infinities and NaN among them.
inline float any_float(Rng& rng) { return bits_float(uint32_t(rng())); }

// Rows that own their numbers; a few numbers after each row catch an op that writes past its columns.
template <class T>
class Table {
 public:
  Table(index rows, index cols) : rows_(rows), cols_(cols), data_(size_t(rows * stride()), kMark) {}
  Table(index rows, index cols, const std::vector<float>& values) : Table(rows, cols) {
    for (index r = 0; r < rows; ++r)
      for (index c = 0; c < cols; ++c) data_[size_t(r * stride() + c)] = values.at(size_t(r * cols + c));
  }
  Rows rows() { return {data_.data(), real_of<T>(), rows_, cols_, stride()}; }
  std::vector<T> values() const {
    std::vector<T> out;
    for (index r = 0; r < rows_; ++r) {
      const T* row = data_.data() + r * stride();
      out.insert(out.end(), row, row + cols_);
      for (index c = cols_; c < stride(); ++c) EXPECT_EQ(row[c], kMark) << "row " << r << " is written past its end";
    }
    return out;
  }

 private:
  static constexpr T kMark = T(-12345);
  index stride() const { return cols_ + 3; }
  index rows_, cols_;
  std::vector<T> data_;
};

// A backend with what its ops need, as an op under test sees it.
template <class T>
struct Machine {
  const Backend& ops;
  Threads& threads;
  Arena& arena;
  Table<T> table(index rows, index cols) const { return {rows, cols}; }
  Table<T> table(index rows, index cols, const std::vector<float>& values) const { return {rows, cols, values}; }
};

inline Threads& pool(int threads) {
  static std::map<int, std::unique_ptr<Threads>> pools;
  auto& p = pools[threads];
  if (!p) p = std::make_unique<Threads>(threads);
  return *p;
}

inline Machine<double> reference() {
  static Arena arena;
  return {ref_backend(), pool(1), arena};
}

inline Machine<float> cpu(int threads = 1) {
  static Arena arena;
  return {cpu_backend(), pool(threads), arena};
}

// Calls f() with each SIMD target in use, then makes the best one the target again.
template <class F>
void for_every_target(const F& f) {
  for (const std::string& target : cpu_targets()) {
    set_cpu_target(target);
    SCOPED_TRACE("on " + target);
    f();
  }
  set_cpu_target(cpu_targets().front());
}

// NaNs are one value here: their payload is nobody's business.
inline bool same_bits(float a, float b) {
  return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) || (std::isnan(a) && std::isnan(b));
}

inline void expect_same_bits(const std::vector<float>& got, const std::vector<float>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_TRUE(same_bits(got[i], want[i])) << "element " << i << ": " << got[i] << " is not " << want[i];
}

inline void expect_near(const std::vector<float>& got, const std::vector<double>& want,
                        const std::vector<double>& bound) {
  ASSERT_EQ(got.size(), want.size());
  ASSERT_EQ(got.size(), bound.size());
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(want[i]) || std::isinf(want[i]))
      ASSERT_TRUE(same_bits(got[i], float(want[i]))) << "element " << i << ": " << got[i] << " is not " << want[i];
    else
      ASSERT_LE(std::fabs(got[i] - want[i]), bound[i]) << "element " << i << ": " << got[i] << " is not " << want[i];
  }
}

// Runs `op` (a generic lambda that takes a Machine and returns its outputs as one list) on the reference backend, and
// on every target with 1 and 3 threads: within `bound` of the reference, and everywhere the same bits.
template <class Op>
void expect_parity(const Op& op, const std::vector<double>& bound) {
  const std::vector<double> want = op(reference());
  std::vector<float> first;
  for_every_target([&] {
    for (const int threads : {1, 3}) {
      const std::vector<float> got = op(cpu(threads));
      expect_near(got, want, bound);
      if (first.empty()) first = got;
      expect_same_bits(got, first);
    }
  });
}

template <class T>
std::vector<T> join(std::vector<T> a, const std::vector<T>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// The order of law 1, word for word: sixteen sums in ascending k with fused multiply-add, then the tree.
inline float lane_dot(const float* x, const float* w, index count) {
  float sum[16] = {};
  for (index k = 0; k < round_up(count, 16); ++k)
    sum[k % 16] = std::fma(k < count ? x[k] : 0.0f, k < count ? w[k] : 0.0f, sum[k % 16]);
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) sum[i] += sum[i + half];
  return sum[0];
}

}  // namespace nemotron::test
