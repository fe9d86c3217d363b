// Matrix products: every format, shape, split and target against the reference, and against the order of law 1.

#include <gtest/gtest.h>

#include "ops/kit.h"
#include "ops/random_matrix.h"

namespace nemotron {
namespace {

using namespace test;

constexpr Format kFormats[] = {Format::f32, Format::bf16, Format::f16, Format::fp8, Format::nvfp4};

template <class T>
std::vector<T> multiply(const Machine<T>& m, const std::vector<Group>& groups, index rows, index cols, index out_cols,
                        const std::vector<float>& x, Activations activations = Activations::real) {
  auto in = m.table(rows, cols, x), out = m.table(rows, out_cols);
  m.ops.linear(m.threads, m.arena, groups, in.rows(), out.rows(), activations);
  return out.values();
}

std::vector<float> decoded(const Matrix& w, index row) {
  std::vector<float> values(static_cast<size_t>(w.cols));
  decode_row(w, row, 0, w.cols, values.data());
  return values;
}

// The product in the order that ops.h states.
std::vector<float> in_order(const Matrix& w, index rows, const std::vector<float>& x) {
  std::vector<float> y;
  for (index t = 0; t < rows; ++t) {
    for (index n = 0; n < w.rows; ++n) {
      const std::vector<float> row = decoded(w, n);
      const index run = w.cols / w.k_segments;
      float sum[8];
      for (index s = 0; s < w.k_segments; ++s)
        sum[s] = lane_dot(&x[size_t(t * w.cols + s * run)], &row[size_t(s * run)], run);
      for (int half = 1; half < w.k_segments; half *= 2)
        for (int s = 0; s < w.k_segments; s += 2 * half) sum[s] += sum[s + half];
      y.push_back(sum[0] * w.scale);
    }
  }
  return y;
}

// One rounding for each term of a lane, each level of the two trees, and the scale; each at most the sum of magnitudes.
std::vector<double> product_bound(const Matrix& w, index rows, const std::vector<float>& x) {
  const double roundings = double(w.cols) / 16 + 1 + 4 + 3 + 1;
  std::vector<double> bound;
  for (index t = 0; t < rows; ++t) {
    for (index n = 0; n < w.rows; ++n) {
      const std::vector<float> row = decoded(w, n);
      double sum = 0;
      for (index k = 0; k < w.cols; ++k) sum += std::fabs(double(x[size_t(t * w.cols + k)]) * row[size_t(k)]);
      bound.push_back(roundings * (kUnit * sum * w.scale + kTiny));
    }
  }
  return bound;
}

void check(const Matrix& w, index rows, const std::vector<float>& x) {
  SCOPED_TRACE(std::string(format_name(w.format)) + ", " + std::to_string(rows) + " rows, W [" +
               std::to_string(w.rows) + ", " + std::to_string(w.cols) + "] in " + std::to_string(w.k_segments));
  const std::vector<Group> all = {{&w, 0, rows}};
  const auto op = [&](const auto& m) { return multiply(m, all, rows, w.cols, w.rows, x); };
  expect_parity(op, product_bound(w, rows, x));
  expect_same_bits(op(cpu(2)), in_order(w, rows, x));
}

TEST(linear, of_the_reference_multiplies_as_by_hand) {
  const float f32[] = {1, 2, 3, 4, 0.5f, -1};
  const Matrix w{.data = reinterpret_cast<const uint8_t*>(f32), .format = Format::f32, .rows = 3, .cols = 2};
  EXPECT_EQ(multiply(reference(), {{&w, 0, 2}}, 2, 2, 3, {10, 20, -1, 0}),
            (std::vector<double>{50, 110, -15, -1, -3, -0.5}));

  const uint8_t bf16[] = {0x80, 0x3F, 0x00, 0xC0};  // 1, -2
  const Matrix b{.data = bf16, .format = Format::bf16, .rows = 1, .cols = 2};
  EXPECT_EQ(multiply(reference(), {{&b, 0, 1}}, 1, 2, 1, {3, 5}), std::vector<double>{-7});

  const uint8_t f16[] = {0x00, 0x3C, 0x01, 0x00};  // 1, 2^-24
  const Matrix h{.data = f16, .format = Format::f16, .rows = 1, .cols = 2};
  EXPECT_EQ(multiply(reference(), {{&h, 0, 1}}, 1, 2, 1, {3, 1}), std::vector<double>{3 + 0x1p-24});

  const uint8_t fp8[] = {0x38, 0xC0, 0x01};  // 1, -2, 2^-9
  const Matrix e{.data = fp8, .scale = 0.5f, .format = Format::fp8, .rows = 1, .cols = 3};
  EXPECT_EQ(multiply(reference(), {{&e, 0, 1}}, 1, 3, 1, {10, 3, 512}), std::vector<double>{2.5});

  uint8_t nvfp4[16] = {}, scales[] = {0x40, 0x30};  // blocks scaled by 2 and 0.5
  nvfp4[0] = 0x72;                                  // 1 then 6
  nvfp4[15] = 0x9F;                                 // -6 then -0.5
  const Matrix v{.data = nvfp4, .block_scales = scales, .scale = 0.25f, .format = Format::nvfp4, .rows = 1, .cols = 32};
  std::vector<float> x(32);
  x[0] = 1, x[1] = 10, x[30] = 100, x[31] = 1000;
  EXPECT_EQ(multiply(reference(), {{&v, 0, 1}}, 1, 32, 1, x), std::vector<double>{0.25 * (2 + 120 - 300 - 250)});
}

TEST(linear, cuts_very_many_rows_into_parts) {
  Rng rng(7);
  Storage storage;
  for (const Format format : kFormats) {
    const Matrix w = random_matrix(rng, 35, 272, format, 2, storage);
    for (const index rows : {512, 513, 1030}) check(w, rows, random_floats(rng, rows * w.cols));
  }
}

TEST(linear, keeps_law_1_for_every_format_and_odd_shape) {
  Rng rng(1);
  Storage storage;
  constexpr index kRows[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 14, 15, 17, 32, 33, 48, 49},
                  kCols[] = {1, 2, 3, 15, 16, 17, 31, 32, 33, 48, 100},
                  kOut[] = {1, 2, 3, 4, 5, 15, 16, 17, 33, 40, 100};
  size_t turn = 0;
  for (const Format format : kFormats) {
    for (const index cols : kCols) {
      if (format == Format::nvfp4 && cols % Nvfp4::kBlock) continue;
      for (const index rows : kRows) {
        const index out = kOut[turn++ % std::size(kOut)];
        const Matrix w = turn % 3 ? random_matrix(rng, out, cols, format, 2, storage)
                                  : random_codes(rng, out, cols, format, storage);
        check(w, rows, random_floats(rng, rows * cols));
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(linear, sums_the_runs_of_a_cut_matrix_in_a_tree) {
  Rng rng(2);
  Storage storage;
  for (const Format format : kFormats) {
    for (const int runs : {1, 2, 4, 8}) {
      for (const index width : {16, 48}) {
        Matrix w = random_matrix(rng, 7, runs * width, format, 2, storage);
        w.k_segments = runs;
        for (const index rows : {1, 2, 3, 4, 6, 9, 49}) check(w, rows, random_floats(rng, rows * w.cols));
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(linear, decodes_every_code_of_every_format) {
  // W [codes, 1] times 1, and the same codes as columns of a wide row.
  for (const Format format : {Format::bf16, Format::f16, Format::fp8}) {
    const size_t codes = format == Format::fp8 ? 256 : 65536, bytes = format == Format::fp8 ? 1 : 2;
    std::vector<uint8_t> data;
    for (size_t c = 0; c < codes; ++c)
      for (size_t b = 0; b < bytes; ++b) data.push_back(uint8_t(c >> (8 * b)));
    const Matrix wide{.data = data.data(), .format = format, .rows = index(codes) / 16, .cols = 16};
    for_every_target([&] {
      for (const index rows : {1, 16, 49}) {  // converted in registers, for one row and for some, and laid out
        std::vector<float> x(size_t(rows * 16));
        for (int lane = 0; lane < 16; ++lane) {
          std::fill(x.begin(), x.end(), 0.0f);
          for (index t = 0; t < rows; ++t) x[size_t(t * 16 + lane)] = 1;
          const std::vector<float> y = multiply(cpu(), {{&wide, 0, rows}}, rows, 16, wide.rows, x);
          for (index n = 0; n < wide.rows; ++n) {
            const std::vector<float> row = decoded(wide, n);
            float want = row[size_t(lane)] + 0.0f;  // a sum that starts at +0 has no -0
            for (const float v : row)
              if (!std::isfinite(v)) want = v == row[size_t(lane)] ? want : NAN;  // 0 * infinity
            ASSERT_TRUE(same_bits(y[size_t(n)], want))
                << format_name(format) << " code " << n * 16 + lane << ": " << y[size_t(n)];
          }
        }
      }
    });
  }
  // NVFP4: every code with every block scale that a file may hold.
  std::vector<uint8_t> data, scales;
  for (int scale = 0; scale < 0x7F; ++scale) {
    scales.push_back(uint8_t(scale));
    for (int i = 0; i < 8; ++i) data.push_back(uint8_t((2 * i + 1) << 4 | 2 * i));
  }
  const Matrix w{.data = data.data(), .block_scales = scales.data(), .format = Format::nvfp4, .rows = 0x7F, .cols = 16};
  for_every_target([&] {
    for (const index rows : {1, 49}) {
      for (int lane = 0; lane < 16; ++lane) {
        std::vector<float> x(size_t(rows * 16));
        for (index t = 0; t < rows; ++t) x[size_t(t * 16 + lane)] = 1;
        const std::vector<float> y = multiply(cpu(), {{&w, 0, rows}}, rows, 16, w.rows, x);
        for (index n = 0; n < w.rows; ++n)
          ASSERT_EQ(y[size_t(n)], E2m1::decode(uint8_t(lane)) * E4m3::decode(uint8_t(n)))
              << "code " << lane << " scale " << n;
      }
    }
  });
}

TEST(linear, gives_a_row_the_same_bits_alone_and_in_any_group) {
  Rng rng(3);
  Storage storage;
  for (const Format format : kFormats) {
    constexpr index kRows = 23, kCols = 80, kOut = 37;
    std::vector<Matrix> experts;
    for (int e = 0; e < 7; ++e) experts.push_back(random_matrix(rng, kOut, kCols, format, 2, storage));
    const std::vector<float> x = random_floats(rng, kRows * kCols);
    // Groups of every size, empty ones first, last and in between.
    const index first[] = {0, 0, 1, 9, 9, 9, 23, 23};
    std::vector<Group> groups;
    for (int e = 0; e < 7; ++e) groups.push_back({&experts[size_t(e)], first[e], first[e + 1]});
    for_every_target([&] {
      for (const int threads : {1, 2, 5}) {
        const std::vector<float> together = multiply(cpu(threads), groups, kRows, kCols, kOut, x);
        std::vector<float> alone;
        for (const Group& g : groups) {
          for (index t = g.begin; t < g.end; ++t)
            alone = join(alone, multiply(cpu(), {{g.w, 0, 1}}, 1, kCols, kOut,
                                         {&x[size_t(t * kCols)], &x[size_t(t * kCols)] + kCols}));
        }
        expect_same_bits(together, alone);
      }
    });
    expect_near(
        multiply(cpu(), groups, kRows, kCols, kOut, x), multiply(reference(), groups, kRows, kCols, kOut, x), [&] {
          std::vector<double> bound;
          for (const Group& g : groups)
            bound = join(
                bound, product_bound(*g.w, g.end - g.begin, {x.begin() + g.begin * kCols, x.begin() + g.end * kCols}));
          return bound;
        }());
  }
}

TEST(linear, leaves_rows_of_no_group_alone) {
  Rng rng(4);
  Storage storage;
  const Matrix w = random_matrix(rng, 5, 16, Format::bf16, 1, storage);
  const std::vector<float> x = random_floats(rng, 6 * 16);
  for_every_target([&] {
    const std::vector<float> y = multiply(cpu(), {{&w, 1, 3}, {&w, 4, 4}, {&w, 5, 6}}, 6, 16, 5, x);
    const float untouched = Table<float>(1, 1).values()[0];
    for (const index t : {0, 3, 4})
      for (index n = 0; n < 5; ++n) EXPECT_EQ(y[size_t(t * 5 + n)], untouched) << "row " << t;
    EXPECT_NE(y[5], untouched);
  });
  EXPECT_EQ(multiply(cpu(), {}, 1, 16, 5, random_floats(rng, 16)).size(), 5u);
}

TEST(linear, lets_no_number_that_is_none_into_other_rows) {
  Rng rng(5);
  Storage storage;
  for (const Format format : kFormats) {
    for (const index rows : {7, 49}) {
      const Matrix w = random_matrix(rng, 9, 48, format, 1, storage);
      std::vector<float> x = random_floats(rng, rows * 48);
      const std::vector<float> clean = multiply(cpu(), {{&w, 0, rows}}, rows, 48, 9, x);
      x[3 * 48 + 17] = NAN;
      x[5 * 48 + 2] = INFINITY;
      for_every_target([&] {
        const std::vector<float> y = multiply(cpu(), {{&w, 0, rows}}, rows, 48, 9, x);
        for (index t = 0; t < rows; ++t) {
          for (index n = 0; n < 9; ++n) {
            const float v = y[size_t(t * 9 + n)];
            if (t == 3)
              EXPECT_TRUE(std::isnan(v));
            else if (t == 5)
              EXPECT_FALSE(std::isfinite(v));
            else
              EXPECT_TRUE(same_bits(v, clean[size_t(t * 9 + n)]));
          }
        }
      });
    }
  }
}

// NVFP4 with int8 activations.

// A row of x as int8 blocks.
struct Quantized {
  std::vector<int8_t> codes;
  std::vector<float> scales;
  Quantized(const float* x, index cols) : codes(size_t(cols)), scales(size_t(cols / 16)) {
    for (size_t b = 0; b < scales.size(); ++b) scales[b] = Int8Block::encode_block(x + b * 16, &codes[b * 16]);
  }
};

// The product in the order that ops.h states.
std::vector<float> in_order_int8(const Matrix& w, index rows, const std::vector<float>& x) {
  std::vector<float> y;
  const index blocks = w.cols / 16 / w.k_segments;
  for (index t = 0; t < rows; ++t) {
    const Quantized q(&x[size_t(t * w.cols)], w.cols);
    for (index n = 0; n < w.rows; ++n) {
      const uint8_t* codes = w.data + n * w.cols / 2;
      float total[8];
      for (index s = 0; s < w.k_segments; ++s) {
        float sum[16] = {};
        for (index b = 0; b < blocks; ++b) {
          const index block = s * blocks + b;
          int exact = 0;  // twice the sum: codes are halves
          for (index c = block * 16; c < block * 16 + 16; ++c)
            exact += int(2 * E2m1::decode(Nvfp4::code(codes, c))) * q.codes[size_t(c)];
          const float scale = E4m3::decode(w.block_scales[n * w.cols / 16 + block]) * q.scales[size_t(block)];
          sum[b % 16] = std::fma(float(exact), scale, sum[b % 16]);
        }
        for (int half = 8; half > 0; half /= 2)
          for (int i = 0; i < half; ++i) sum[i] += sum[i + half];
        total[s] = sum[0];
      }
      for (int half = 1; half < w.k_segments; half *= 2)
        for (int s = 0; s < w.k_segments; s += 2 * half) total[s] += total[s + half];
      y.push_back((total[0] + 0.0f) * (w.scale * 0.5f));
    }
  }
  return y;
}

// One rounding of each block's scale and one for each term of a sum, then the trees and the tensor scale; each at most
// the sum of magnitudes.
std::vector<double> int8_bound(const Matrix& w, index rows, const std::vector<float>& x) {
  const double roundings = double(w.cols) / 256 + 2 + 4 + 3 + 2;
  std::vector<double> bound;
  for (index t = 0; t < rows; ++t) {
    const Quantized q(&x[size_t(t * w.cols)], w.cols);
    for (index n = 0; n < w.rows; ++n) {
      const std::vector<float> row = decoded(w, n);
      double sum = 0;
      for (index k = 0; k < w.cols; ++k)
        sum += std::fabs(double(row[size_t(k)]) * q.codes[size_t(k)] * double(q.scales[size_t(k / 16)]));
      bound.push_back(roundings * (kUnit * sum * w.scale + kTiny));
    }
  }
  return bound;
}

void check_int8(const Matrix& w, index rows, const std::vector<float>& x) {
  SCOPED_TRACE(std::to_string(rows) + " rows, W [" + std::to_string(w.rows) + ", " + std::to_string(w.cols) + "] in " +
               std::to_string(w.k_segments));
  const std::vector<Group> all = {{&w, 0, rows}};
  const auto op = [&](const auto& m) { return multiply(m, all, rows, w.cols, w.rows, x, Activations::int8); };
  const bool int8 = takes_int8(w, Activations::int8);
  expect_parity(op, int8 ? int8_bound(w, rows, x) : product_bound(w, rows, x));
  expect_same_bits(op(cpu(2)), int8 ? in_order_int8(w, rows, x) : in_order(w, rows, x));
}

TEST(linear_int8, keeps_law_1_for_every_batch_and_odd_shape) {
  Rng rng(21);
  Storage storage;
  constexpr index kOut[] = {1, 2, 3, 4, 5, 15, 16, 17, 31, 33, 40, 67};
  index turn = 0;
  for (const index cols : {16, 240, 256, 272, 496, 512, 528, 2320}) {
    for (index rows = 1; rows <= (cols > 1000 ? 9 : 40); ++rows) {
      if (cols != 272 && rows % 3 != turn % 3 && rows > 8) continue;
      const index out = kOut[turn++ % index(std::size(kOut))];
      const Matrix w = turn % 3 ? random_matrix(rng, out, cols, Format::nvfp4, 2, storage)
                                : random_codes(rng, out, cols, Format::nvfp4, storage);
      check_int8(w, rows, random_floats(rng, rows * cols));
      if (HasFatalFailure()) return;
    }
  }
}

TEST(linear_int8, sums_the_runs_of_a_cut_matrix_in_a_tree) {
  Rng rng(22);
  Storage storage;
  for (const int runs : {2, 4, 8}) {
    for (const index width : {32, 48, 144, 272}) {
      Matrix w = random_matrix(rng, 7, runs * width, Format::nvfp4, 2, storage);
      w.k_segments = runs;
      for (const index rows : {1, 2, 5, 6, 7, 13}) check_int8(w, rows, random_floats(rng, rows * w.cols));
      if (HasFatalFailure()) return;
    }
  }
}

TEST(linear_int8, multiplies_every_code_with_every_scale_exactly) {
  constexpr index kCols = 272, kBlocks = kCols / 16;
  std::vector<uint8_t> data, scales;
  for (int scale = 0; scale < 0x7F; ++scale) {
    scales.insert(scales.end(), kBlocks, uint8_t(scale));
    for (index i = 0; i < kCols / 2; ++i) data.push_back(uint8_t((2 * i + 1) % 16 << 4 | 2 * i % 16));
  }
  const Matrix w{
      .data = data.data(), .block_scales = scales.data(), .format = Format::nvfp4, .rows = 0x7F, .cols = kCols};
  for_every_target([&] {
    for (const index rows : {1, 4, 13}) {
      for (index column = 0; column < kCols; column += 1 + column % 16) {
        std::vector<float> x(size_t(rows * kCols));
        for (index t = 0; t < rows; ++t) x[size_t(t * kCols + column)] = 127;
        const std::vector<float> y = multiply(cpu(), {{&w, 0, rows}}, rows, kCols, w.rows, x, Activations::int8);
        for (index n = 0; n < w.rows; ++n)
          ASSERT_EQ(y[size_t(n)], 127 * (E2m1::decode(uint8_t(column % 16)) * E4m3::decode(uint8_t(n))))
              << "column " << column << " scale " << n;
      }
    }
  });
}

TEST(linear_int8, rounds_blocks_of_any_size_as_the_codec_does) {
  Rng rng(23);
  Storage storage;
  constexpr index kCols = 272, kRows = 13;
  const Matrix w = random_matrix(rng, 5, kCols, Format::nvfp4, 1, storage);
  for (int round = 0; round < 20; ++round) {
    std::vector<float> x = random_floats(rng, kRows * kCols);
    for (index b = 0; b < kRows * kCols / 16; ++b) {
      const int exponent = int(rng() % 240) - 140;  // some so small that they count as zeros
      for (index c = 0; c < 16; ++c) {
        float& v = x[size_t(b * 16 + c)];
        v = rng() % 4 ? std::ldexp(v, exponent) : rng() % 2 ? 0.0f : -0.0f;
        if (rng() % 8 == 0) v = std::ldexp(float(int(rng() % 255) - 127) + 0.5f, exponent);  // ties
      }
    }
    for_every_target([&] {
      expect_same_bits(multiply(cpu(), {{&w, 0, kRows}}, kRows, kCols, 5, x, Activations::int8),
                       in_order_int8(w, kRows, x));
    });
    if (HasFatalFailure()) return;
  }
}

TEST(linear_int8, lets_no_number_that_is_none_into_other_rows) {
  Rng rng(24);
  Storage storage;
  constexpr index kCols = 304, kRows = 13;
  const Matrix w = random_matrix(rng, 9, kCols, Format::nvfp4, 1, storage);
  std::vector<float> x = random_floats(rng, kRows * kCols);
  const std::vector<float> clean = multiply(cpu(), {{&w, 0, kRows}}, kRows, kCols, 9, x, Activations::int8);
  const float none[] = {NAN, INFINITY, -INFINITY, -NAN};
  for (index t = 2; t < 6; ++t) x[size_t(t * kCols + 57 * t)] = none[t - 2];
  for_every_target([&] {
    const std::vector<float> y = multiply(cpu(), {{&w, 0, kRows}}, kRows, kCols, 9, x, Activations::int8);
    for (index t = 0; t < kRows; ++t)
      for (size_t i = size_t(t * 9); i < size_t(t * 9 + 9); ++i)
        if (t >= 2 && t < 6)
          EXPECT_TRUE(std::isnan(y[i]));
        else
          EXPECT_TRUE(same_bits(y[i], clean[i]));
  });
}

TEST(linear_int8, gives_a_row_the_same_bits_alone_and_in_any_group) {
  Rng rng(25);
  Storage storage;
  constexpr index kRows = 43, kCols = 304, kOut = 37;
  std::vector<Matrix> experts;  // one of another format
  for (int e = 0; e < 7; ++e)
    experts.push_back(random_matrix(rng, kOut, kCols, e == 3 ? Format::bf16 : Format::nvfp4, 2, storage));
  const std::vector<float> x = random_floats(rng, kRows * kCols);
  const index first[] = {0, 0, 1, 9, 12, 19, 43, 43};
  std::vector<Group> groups;
  for (int e = 0; e < 7; ++e) groups.push_back({&experts[size_t(e)], first[e], first[e + 1]});
  for_every_target([&] {
    for (const int threads : {1, 2, 5}) {
      const std::vector<float> together = multiply(cpu(threads), groups, kRows, kCols, kOut, x, Activations::int8);
      std::vector<float> alone;
      for (const Group& g : groups)
        for (index t = g.begin; t < g.end; ++t)
          alone = join(alone, multiply(cpu(), {{g.w, 0, 1}}, 1, kCols, kOut,
                                       {&x[size_t(t * kCols)], &x[size_t(t * kCols)] + kCols}, Activations::int8));
      expect_same_bits(together, alone);
    }
  });
}

// a, b, c whose sum a b + c is hard to round: cancelling, halfway between two floats, subnormal, overflowing, special.
struct Hard {
  float a, b, c;
};

Hard hard_case(Rng& rng) {
  const auto near_one = [&] { return std::ldexp(1 + float(rng() % (1 << 23)) * 0x1p-23f, int(rng() % 5) - 2); };
  float a = near_one() * (rng() % 2 ? 1.0f : -1.0f), b = near_one(), c = any_float(rng);
  switch (rng() % 8) {
    case 0:  // any bits at all
      return {any_float(rng), any_float(rng), c};
    case 1:  // c cancels the product, but for a few units
      c = bits_float(float_bits(-a * b) + uint32_t(rng() % 5) - 2);
      break;
    case 2: {  // exactly halfway between two floats, or a hair beside: c decides
      a = bits_float(float_bits(a) & ~0xFFFu), b = bits_float(float_bits(b) & ~0xFFFu);
      c = std::ldexp(rng() % 2 ? 1.0f : -1.0f, -23 - int(rng() % 60));
      break;
    }
    case 3:  // the product decides
      c = near_one();
      a = std::ldexp(a, -12 - int(rng() % 30)), b = std::ldexp(b, -12 - int(rng() % 30));
      break;
    case 4:  // subnormal results
      a = std::ldexp(a, -75), b = std::ldexp(b, -60 - int(rng() % 20));
      c = bits_float(uint32_t(rng()) & 0x80FFFFFF);
      break;
    case 5:  // a subnormal result that cancels
      a = std::ldexp(a, -70), b = std::ldexp(b, -70);
      c = bits_float(float_bits(-a * b) + uint32_t(rng() % 3));
      break;
    case 6:  // at the edge of overflow
      a = std::ldexp(a, 64), b = std::ldexp(b, 62);
      c = bits_float((uint32_t(rng()) & 0x80FFFFFF) | 0x7E800000);
      break;
    default:  // a few bits each: exact results, signs of zero
      a = float(int(rng() % 9) - 4), b = float(int(rng() % 9) - 4), c = float(int(rng() % 33) - 16);
      break;
  }
  return {a, b, c};
}

TEST(linear, multiplies_and_adds_with_one_rounding_on_every_target) {
  // Column 0 brings c, column 16 adds a * b in the same lane; all other lanes are zeros.
  constexpr index kCases = 512, kRounds = 60;
  for_every_target([&] {
    Rng rng(6);
    for (index round = 0; round < kRounds; ++round) {
      // All cases of a round share a; b and c are re-drawn around it.
      std::vector<Hard> cases;
      for (index i = 0; i < kCases; ++i) cases.push_back(hard_case(rng));
      for (index row = 0; row < 8; ++row) {
        std::vector<float> x(8 * 32), w(size_t(kCases) * 32);
        const float a = cases[size_t(row * 37)].a;
        for (index t = 0; t < 8; ++t) x[size_t(t * 32)] = 1, x[size_t(t * 32 + 16)] = a;
        for (index n = 0; n < kCases; ++n) {
          Hard& h = cases[size_t(n)];
          if (n % 2) h.c = bits_float(float_bits(-a * h.b) + uint32_t(n % 7) - 3);  // cancels for this a
          w[size_t(n * 32)] = h.c, w[size_t(n * 32 + 16)] = h.b;
        }
        const Matrix m{
            .data = reinterpret_cast<const uint8_t*>(w.data()), .format = Format::f32, .rows = kCases, .cols = 32};
        const index rows = row % 2 ? 1 : 8;
        const std::vector<float> y =
            multiply(cpu(), {{&m, 0, rows}}, rows, 32, kCases, {x.begin(), x.begin() + rows * 32});
        for (index n = 0; n < kCases; ++n) {
          const Hard& h = cases[size_t(n)];
          const float want = std::fma(a, h.b, h.c) + 0.0f;  // the other lanes' zeros turn -0 into +0
          ASSERT_TRUE(same_bits(y[size_t(n)], want))
              << std::hexfloat << a << " * " << h.b << " + " << h.c << " = " << want << ", not " << y[size_t(n)];
        }
      }
    }
  });
}

}  // namespace
}  // namespace nemotron
