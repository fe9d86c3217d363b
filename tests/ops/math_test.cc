// Exponential, sigmoid, SiLU and softplus over the whole range of floats, against the double functions.
//
// The kernels' header is compiled here for one target, the oldest; that all targets give the same bits is the parity
// tests' to say.

#if defined(__x86_64__)
#define HWY_BASELINE_TARGETS HWY_SSSE3
#endif
#define HWY_COMPILE_ONLY_STATIC
#include "ops/cpu/math-inl.h"

#include <gtest/gtest.h>

#include "ops/kit.h"

HWY_BEFORE_NAMESPACE();
namespace nemotron::HWY_NAMESPACE {
namespace {

template <class F>
std::vector<float> map(const std::vector<float>& x, const F& f) {
  std::vector<float> y(x.size());
  transform(index(x.size()), y.data(), f, x.data());
  return y;
}

std::vector<float> exp_of(const std::vector<float>& x) {
  return map(x, [](V v) HWY_ATTR { return exp(v); });
}
std::vector<float> sigmoid_of(const std::vector<float>& x) {
  return map(x, [](V v) HWY_ATTR { return sigmoid(v); });
}
std::vector<float> silu_of(const std::vector<float>& x) {
  return map(x, [](V v) HWY_ATTR { return silu(v); });
}
std::vector<float> softplus_of(const std::vector<float>& x) {
  return map(x, [](V v) HWY_ATTR { return softplus(v); });
}

}  // namespace
}  // namespace nemotron::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

namespace nemotron {
namespace {

using namespace HWY_NAMESPACE;
using namespace test;

// Floats spread over all exponents and signs, and more of them where the functions bend.
std::vector<float> arguments() {
  std::vector<float> x;
  for (uint32_t bits = 0; bits < 0xFFFF0000; bits += 65521) x.push_back(bits_float(bits));
  for (int i = -120000; i <= 120000; ++i) x.push_back(float(i) * 0.001f);
  return x;
}

// Each f(x) is within `ulps` roundings of `truth`, relative to it; below `floor` (where floats thin out, or where the
// method gives up) the error is absolute.
template <class Truth>
void expect_accurate(const std::vector<float>& x, const std::vector<float>& y, const Truth& truth, double ulps,
                     double floor) {
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double want = truth(double(x[i]));
    if (std::isnan(want) || std::fabs(want) >= 0x1.ffffffp127) {
      ASSERT_TRUE(same_bits(y[i], float(want))) << "of " << x[i] << ": " << y[i] << ", not " << want;
      continue;
    }
    const double error = std::fabs(y[i] - want);
    ASSERT_LE(error, ulps * kUnit * std::fabs(want) + floor) << "of " << x[i] << ": " << y[i] << ", not " << want;
    if (std::fabs(want) > 1e-30) worst = std::max(worst, error / std::fabs(want));
  }
  testing::Test::RecordProperty("worst_relative_error_in_roundings", std::to_string(worst / kUnit));
}

double exact_sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double exact_softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }

// One ulp of a float is at most two roundings (of a number just above a power of two).
TEST(math, exp_is_within_an_ulp_everywhere) {
  const std::vector<float> x = arguments();
  expect_accurate(
      x, exp_of(x), [](double v) { return std::exp(v); }, 2, kTiny);
}

// exp, a sum and a quotient. exp(-x) overflows below -88.7: then 0 stands for less than 3e-39.
TEST(math, sigmoid_is_within_five_roundings_everywhere) {
  const std::vector<float> x = arguments();
  expect_accurate(x, sigmoid_of(x), exact_sigmoid, 5, 3e-39);
}

TEST(math, silu_is_within_five_roundings_everywhere) {
  const std::vector<float> x = arguments();
  std::vector<float> finite;
  for (const float v : x)
    if (!std::isinf(v)) finite.push_back(v);
  expect_accurate(
      finite, silu_of(finite), [](double v) { return v * exact_sigmoid(v); }, 5, 3e-37);
  EXPECT_EQ(silu_of({INFINITY})[0], INFINITY);
}

// ln(1 + u) adds its series and the sum to what u = exp carries.
TEST(math, softplus_is_within_six_roundings_everywhere) {
  const std::vector<float> x = arguments();
  expect_accurate(x, softplus_of(x), exact_softplus, 6, 2 * kTiny);
}

TEST(math, not_a_number_stays_so_and_limits_are_exact) {
  for (const auto f : {exp_of, sigmoid_of, silu_of, softplus_of}) EXPECT_TRUE(std::isnan(f({NAN})[0]));
  EXPECT_EQ(exp_of({0, -0.0f, -INFINITY, INFINITY, -3e38f, 3e38f}),
            (std::vector<float>{1, 1, 0, INFINITY, 0, INFINITY}));
  EXPECT_EQ(sigmoid_of({0, -INFINITY, INFINITY, -3e38f, 3e38f}), (std::vector<float>{0.5, 0, 1, 0, 1}));
  EXPECT_EQ(softplus_of({-INFINITY, INFINITY, -3e38f, 3e38f}), (std::vector<float>{0, INFINITY, 0, 3e38f}));
  EXPECT_EQ(silu_of({0, 3e38f}), (std::vector<float>{0, 3e38f}));
}

}  // namespace
}  // namespace nemotron
