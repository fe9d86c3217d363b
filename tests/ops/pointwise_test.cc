// The table of ops, and those that handle each row by itself: embedding, norms, sums, squared ReLU.

#include <gtest/gtest.h>

#include <set>

#include "ops/kit.h"
#include "ops/random_matrix.h"

namespace nemotron {
namespace {

using namespace test;

constexpr index kSizes[] = {1, 2, 3, 15, 16, 17, 33, 100};

// A new entry does not compile here until it is named, which is the moment to give it a parity test.
TEST(backend, has_an_op_behind_every_entry) {
  for (const Backend* backend : {&ref_backend(), &cpu_backend()}) {
    const auto& [name, real, embed, rms_norm, gated_rms_norm, linear, add, relu2, causal_conv, ssm_scan, kv_store,
                 attention, route, combine, gather] = *backend;
    EXPECT_EQ(real, std::string(name) == "ref" ? Real::f64 : Real::f32);
    EXPECT_TRUE(embed && rms_norm && gated_rms_norm && linear && add && relu2 && causal_conv && ssm_scan && kv_store &&
                attention && route && combine && gather)
        << name;
  }
}

TEST(backend, refuses_a_target_that_is_not_there) {
  const std::string before = cpu_target();
  EXPECT_EQ(before, cpu_targets().front());
  EXPECT_THROW(set_cpu_target("no such"), std::exception);
  EXPECT_THROW(set_cpu_target(""), std::exception);
  EXPECT_EQ(cpu_target(), before);
  const std::vector<std::string> targets = cpu_targets();
  EXPECT_EQ(std::set<std::string>(targets.begin(), targets.end()).size(), targets.size());
  for (const std::string& target : targets) {
    set_cpu_target(target);
    EXPECT_EQ(cpu_target(), target);
    EXPECT_EQ(cpu_targets(), targets) << "the choice must not hide the others";
  }
  set_cpu_target(before);
}

TEST(embed, of_the_reference_looks_up_scaled_rows) {
  const uint8_t fp8[] = {0x38, 0x40, 0xB8, 0x00};  // 1, 2; -1, 0
  const Matrix table{.data = fp8, .scale = 0.5f, .format = Format::fp8, .rows = 2, .cols = 2};
  const auto m = reference();
  auto y = m.table(3, 2);
  m.ops.embed(m.threads, table, std::vector<int32_t>{1, 0, 1}, y.rows());
  EXPECT_EQ(y.values(), (std::vector<double>{-0.5, 0, 0.5, 1, -0.5, 0}));
}

TEST(embed, keeps_law_1_for_every_format_and_odd_shape) {
  Rng rng(1);
  Storage storage;
  for (const Format format : {Format::f32, Format::bf16, Format::f16, Format::fp8, Format::nvfp4}) {
    for (const index cols : kSizes) {
      if (format == Format::nvfp4 && cols % Nvfp4::kBlock) continue;
      const Matrix table = random_codes(rng, 50, cols, format, storage);
      std::vector<int32_t> ids;
      for (int t = 0; t < 70; ++t) ids.push_back(int32_t(rng() % 50));
      const auto op = [&](const auto& m) {
        auto y = m.table(index(ids.size()), cols);
        m.ops.embed(m.threads, table, ids, y.rows());
        return y.values();
      };
      std::vector<double> bound;
      for (const double v : op(reference())) bound.push_back(kUnit * std::fabs(v) + kTiny);  // the scale
      expect_parity(op, bound);
    }
  }
}

TEST(rms_norm, of_the_reference_divides_each_group_by_its_root_mean_square) {
  const auto m = reference();
  auto x = m.table(1, 4, {3, 4, 0, 2}), y = m.table(1, 4);
  m.ops.rms_norm(m.threads, x.rows(), {1, 2, 1, 3}, 2, 0, y.rows());
  const std::vector<double> v = y.values();  // roots of mean squares: sqrt(12.5), sqrt(2)
  EXPECT_NEAR(v[0], 3 / std::sqrt(12.5), 1e-15);
  EXPECT_NEAR(v[1], 8 / std::sqrt(12.5), 1e-15);
  EXPECT_EQ(v[2], 0);
  EXPECT_NEAR(v[3], 6 / std::sqrt(2.0), 1e-15);
  m.ops.rms_norm(m.threads, x.rows(), {1, 1, 1, 1}, 1, 3.75, y.rows());  // mean square 7.25
  EXPECT_NEAR(y.values()[0], 3 / std::sqrt(11.0), 1e-15);
}

TEST(gated_rms_norm, of_the_reference_gates_first) {
  const auto m = reference();
  auto x = m.table(1, 2, {3, 4}), gate = m.table(1, 2, {0, 1}), y = m.table(1, 2);
  m.ops.gated_rms_norm(m.threads, x.rows(), gate.rows(), {5, 1}, 1, 0, y.rows());
  EXPECT_EQ(y.values()[0], 0);  // silu(0) = 0; what is left is its own root mean square times sqrt(2)
  EXPECT_NEAR(y.values()[1], std::sqrt(2.0), 1e-15);
}

// Relative: half of what the mean of squares carries, the root, the reciprocal and two products.
double norm_roundings(index width, double each_square) {
  return (double(width) / 16 + 1 + 4 + 2 + each_square) / 2 + 4;
}

TEST(rms_norm, keeps_law_1_for_every_odd_shape) {
  Rng rng(2);
  for (const index width : kSizes) {
    for (const index groups : {1, 2, 3, 8}) {
      for (const index rows : {1, 2, 33}) {
        const index cols = width * groups;
        const std::vector<float> x = random_floats(rng, rows * cols, 3), weight = random_floats(rng, cols);
        const auto op = [&](const auto& m) {
          auto in = m.table(rows, cols, x), y = m.table(rows, cols);
          m.ops.rms_norm(m.threads, in.rows(), weight, groups, 1e-5, y.rows());
          m.ops.rms_norm(m.threads, in.rows(), weight, groups, 1e-5, in.rows());  // in place
          EXPECT_EQ(in.values(), y.values());
          return y.values();
        };
        std::vector<double> bound;
        for (const double v : op(reference())) bound.push_back(norm_roundings(width, 1) * kUnit * std::fabs(v));
        expect_parity(op, bound);
        // Its mean has the order of a dot product.
        const std::vector<float> y = op(cpu());
        for (index i = 0; i < rows * groups; ++i) {
          const float* u = &x[size_t(i * width)];
          const float scale = 1.0f / std::sqrt(lane_dot(u, u, width) / float(width) + 1e-5f);
          ASSERT_EQ(y[size_t(i * width)], u[0] * scale * weight[size_t(i % groups * width)]);
        }
      }
    }
  }
}

TEST(gated_rms_norm, keeps_law_1_for_every_odd_shape) {
  Rng rng(3);
  for (const index width : kSizes) {
    for (const index groups : {1, 3, 8}) {
      for (const index rows : {1, 33}) {
        const index cols = width * groups;
        const std::vector<float> x = random_floats(rng, rows * cols, 3), gate = random_floats(rng, rows * cols, 4),
                                 weight = random_floats(rng, cols);
        const auto op = [&](const auto& m) {
          auto in = m.table(rows, cols, x), z = m.table(rows, cols, gate), y = m.table(rows, cols);
          m.ops.gated_rms_norm(m.threads, in.rows(), z.rows(), weight, groups, 1e-5, y.rows());
          return y.values();
        };
        std::vector<double> bound;  // silu: five roundings, and the product
        for (const double v : op(reference()))
          bound.push_back((6 + norm_roundings(width, 13)) * kUnit * std::fabs(v) + 1e-30);
        expect_parity(op, bound);
      }
    }
  }
}

TEST(norms, of_a_row_of_zeros_are_zeros) {
  for_every_target([] {
    const auto m = cpu();
    auto x = m.table(2, 20, std::vector<float>(40)), y = m.table(2, 20);
    m.ops.rms_norm(m.threads, x.rows(), std::vector<float>(20, 1.0f), 1, 1e-5, y.rows());
    EXPECT_EQ(y.values(), std::vector<float>(40));
  });
}

TEST(add, keeps_law_1_for_every_odd_shape) {
  Rng rng(4);
  for (const index cols : kSizes) {
    for (const index rows : {1, 3, 200}) {
      const std::vector<float> a = random_floats(rng, rows * cols), b = random_floats(rng, rows * cols, 1000);
      const auto op = [&](const auto& m) {
        auto x = m.table(rows, cols, a), y = m.table(rows, cols, b);
        m.ops.add(m.threads, x.rows(), y.rows());
        return y.values();
      };
      EXPECT_EQ(op(reference())[0], double(a[0]) + b[0]);
      std::vector<double> bound;
      for (const double v : op(reference())) bound.push_back(kUnit * std::fabs(v));
      expect_parity(op, bound);
    }
  }
}

TEST(relu2, squares_what_is_positive_and_keeps_what_is_no_number) {
  std::vector<float> x = {-2, -0.0f, 0, 0.5f, 3, -INFINITY, INFINITY, NAN, 1e20f, 1e-30f, -1e-30f};
  const std::vector<double> want = {0, 0, 0, 0.25, 9, NAN, INFINITY, NAN, INFINITY, 0, 0};
  const auto op = [&](const auto& m) {
    auto y = m.table(1, index(x.size()), x);
    m.ops.relu2(m.threads, y.rows());
    return y.values();
  };
  const std::vector<double> ref = op(reference());
  for (size_t i = 0; i < 8; ++i) EXPECT_TRUE(same_bits(std::fabs(float(ref[i])), float(want[i]))) << x[i];
  for_every_target([&] {
    const std::vector<float> y = op(cpu());
    for (size_t i = 0; i < x.size(); ++i)
      EXPECT_TRUE(same_bits(std::fabs(y[i]), float(want[i]))) << x[i] << " gave " << y[i];
  });
  Rng rng(5);
  for (const index cols : kSizes) {
    x = random_floats(rng, 40 * cols);
    std::vector<double> bound;
    for (const float v : x) bound.push_back(kUnit * double(v) * v);
    expect_parity(
        [&](const auto& m) {
          auto y = m.table(40, cols, x);
          m.ops.relu2(m.threads, y.rows());
          return y.values();
        },
        bound);
  }
}

}  // namespace
}  // namespace nemotron
