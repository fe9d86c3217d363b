// The causal convolution and the recurrence: every cut of a sequence, every state format, against the reference.

#include <gtest/gtest.h>

#include "base/philox.h"
#include "ops/kit.h"

namespace nemotron {
namespace {

using namespace test;

// Sequences of these lengths, one after the other, each a segment.
std::vector<Segment> segments_of(const std::vector<index>& sizes) {
  std::vector<Segment> segments;
  for (const index n : sizes) {
    const index begin = segments.empty() ? 0 : segments.back().end;
    segments.push_back({begin, begin + n, int(segments.size())});
  }
  return segments;
}

index total_rows(const std::vector<index>& sizes) { return segments_of(sizes).back().end; }

// ---- the convolution

struct Convolution {
  index channels, K;
  std::vector<index> sizes;
  std::vector<float> x, taps, bias, tails;  // [T, C], [C, K], [C] or empty, [segments, K-1, C]

  Convolution(Rng& rng, index channels_, index K_, bool biased, const std::vector<index>& sizes_)
      : channels(channels_), K(K_), sizes(sizes_) {
    x = random_floats(rng, total_rows(sizes) * channels, 2);
    taps = random_floats(rng, channels * K);
    bias = random_floats(rng, biased ? channels : 0);
    tails = random_floats(rng, index(sizes.size()) * (K - 1) * channels, 2);
  }

  // The output, then the tails.
  template <class T>
  std::vector<T> run(const Machine<T>& m) const {
    const index T_ = total_rows(sizes);
    auto in = m.table(T_, channels, x), y = m.table(T_, channels);
    std::vector<Table<T>> owned;
    std::vector<Rows> rows;
    for (size_t s = 0; s < sizes.size(); ++s) {
      const auto* first = tails.data() + index(s) * (K - 1) * channels;
      owned.push_back(m.table(K - 1, channels, {first, first + (K - 1) * channels}));
    }
    for (Table<T>& t : owned) rows.push_back(t.rows());
    m.ops.causal_conv(m.threads, in.rows(), taps, bias, segments_of(sizes), rows, y.rows());
    std::vector<T> out = y.values();
    for (const Table<T>& t : owned) out = join(out, t.values());
    return out;
  }

  // K fused additions, then SiLU, whose slope is at most 1.1, and its five roundings; the tails are copies.
  std::vector<double> bound() const {
    const std::vector<double> y = run(reference());
    std::vector<double> b(y.size());
    for (const Segment& s : segments_of(sizes)) {
      for (index t = s.begin; t < s.end; ++t) {
        for (index c = 0; c < channels; ++c) {
          double sum = bias.empty() ? 0 : std::fabs(bias[size_t(c)]);
          for (index j = 0; j < K; ++j) {
            const index from = t - s.begin + j - (K - 1);
            const float v = from >= 0 ? x[size_t((s.begin + from) * channels + c)]
                                      : tails[size_t((s.slot * (K - 1) + K - 1 + from) * channels + c)];
            sum += std::fabs(double(taps[size_t(c * K + j)]) * v);
          }
          const auto i = size_t(t * channels + c);
          b[i] = kUnit * (1.1 * double(K) * sum + 5 * std::fabs(y[i])) + 1e-30;
        }
      }
    }
    return b;
  }
};

TEST(causal_conv, of_the_reference_weighs_the_newest_row_with_the_last_tap) {
  const auto m = reference();
  auto x = m.table(3, 1, {1, 10, 100}), tail = m.table(2, 1, {3, 5}), y = m.table(3, 1);
  const Segment all{0, 3, 0};
  const Rows tails[] = {tail.rows()};
  m.ops.causal_conv(m.threads, x.rows(), {0.01f, 0.1f, 1}, {-2}, {&all, 1}, std::span<const Rows>(tails), y.rows());
  const double sums[] = {0.01f * 3.0 + 0.1f * 5.0 + 1 - 2, 0.01f * 5.0 + 0.1f * 1.0 + 10 - 2,
                         0.01f * 1.0 + 0.1f * 10.0 + 100 - 2};
  for (size_t t = 0; t < 3; ++t) EXPECT_NEAR(y.values()[t], sums[t] / (1 + std::exp(-sums[t])), 1e-12);
  EXPECT_EQ(tail.values(), (std::vector<double>{10, 100}));
}

TEST(causal_conv, keeps_law_1_for_every_odd_shape) {
  Rng rng(1);
  const std::vector<std::vector<index>> batches = {{1}, {2}, {3}, {17}, {100}, {1, 2, 3, 40, 1}};
  for (const index channels : {1, 2, 3, 15, 16, 17, 33, 100, 300, 513}) {
    for (const index K : {2, 3, 4}) {
      for (const auto& sizes : batches) {
        const Convolution conv(rng, channels, K, rng() % 2, sizes);
        expect_parity([&](const auto& m) { return conv.run(m); }, conv.bound());
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(causal_conv, goes_on_from_its_tail_with_the_same_bits) {
  Rng rng(2);
  for (const index K : {2, 3, 4}) {
    const index channels = 19, T = 24;
    const Convolution whole(rng, channels, K, true, {T});
    for_every_target([&] {
      const std::vector<float> want = whole.run(cpu());
      for (const std::vector<index>& pieces : {std::vector<index>{1, 1, 1, 21}, {2, 1, 3, 18}, {23, 1}, {5, 19}}) {
        Convolution part = whole;
        std::vector<float> got;
        index at = 0;
        for (const index n : pieces) {
          part.sizes = {n};
          part.x.assign(&whole.x[size_t(at * channels)], &whole.x[size_t(at * channels)] + n * channels);
          const std::vector<float> out = part.run(cpu(2));
          got.insert(got.end(), out.begin(), out.begin() + n * channels);
          part.tails.assign(out.begin() + n * channels, out.end());
          at += n;
        }
        expect_same_bits(join(got, part.tails), want);
      }
    });
  }
}

// ---- the recurrence

struct Scan {
  ScanShape shape;
  std::vector<index> sizes;
  double dt_min;
  std::vector<float> xbc, dt, A_log, D, dt_bias, states;  // states [segments, heads, head_dim, state]

  Scan(Rng& rng, const ScanShape& s, const std::vector<index>& sizes_, double dt_min_ = 0)
      : shape(s), sizes(sizes_), dt_min(dt_min_) {
    const index T = total_rows(sizes);
    xbc = random_floats(rng, T * width());
    dt = random_floats(rng, T * s.heads, 3);
    for (index h = 0; h < s.heads; ++h) A_log.push_back(std::log(std::uniform_real_distribution<float>(1, 16)(rng)));
    D = random_floats(rng, s.heads);
    dt_bias = random_floats(rng, s.heads);
    for (float& b : dt_bias) b -= 3;
    states = random_floats(rng, index(sizes.size()) * elements());
    for (float& v : states) v = F16::decode(F16::encode(v));  // so that each format can hold them
  }

  index width() const { return shape.heads * shape.head_dim + 2 * shape.groups * shape.state_size; }
  index elements() const { return shape.heads * shape.head_dim * shape.state_size; }
  index padded() const { return round_up(shape.state_size, kLanes); }

  // The output, then the states without padding.
  template <class T>
  std::vector<T> run(const Machine<T>& m, SsmFormat format = SsmFormat::real, uint64_t seed = 0, uint32_t layer = 0,
                     index position = 0) const {
    const index rows = total_rows(sizes);
    auto in = m.table(rows, width(), xbc), step = m.table(rows, shape.heads, dt),
         y = m.table(rows, shape.heads * shape.head_dim);
    std::vector<std::vector<T>> reals;
    std::vector<std::vector<F16::Code>> codes;
    std::vector<SsmState> views;
    for (size_t s = 0; s < sizes.size(); ++s) {
      reals.emplace_back(size_t(elements() / shape.state_size * padded()));
      codes.emplace_back(reals.back().size());
      for (index i = 0; i < elements(); ++i) {
        const auto at = size_t(i / shape.state_size * padded() + i % shape.state_size);
        const float v = states[s * size_t(elements()) + size_t(i)];
        reals.back()[at] = v;
        codes.back()[at] = F16::encode(v);
      }
    }
    for (size_t s = 0; s < sizes.size(); ++s) {
      void* data = format == SsmFormat::f16 ? static_cast<void*>(codes[s].data()) : reals[s].data();
      views.push_back({static_cast<std::byte*>(data), format, seed, layer, position});
    }
    m.ops.ssm_scan(m.threads, m.arena, shape, in.rows(), step.rows(), A_log, D, dt_bias, dt_min, segments_of(sizes),
                   views, y.rows());
    std::vector<T> out = y.values();
    for (size_t s = 0; s < sizes.size(); ++s) {
      for (size_t i = 0; i < reals[s].size(); ++i) {
        const T v = format == SsmFormat::f16 ? T(F16::decode(codes[s][i])) : reals[s][i];
        if (index(i) % padded() < shape.state_size)
          out.push_back(v);
        else
          EXPECT_EQ(v, 0) << "padding must stay zero";
      }
    }
    return out;
  }

  // The recurrence of errors: each token multiplies what a state element is off by with the decay, and adds the
  // roundings of the decay (its exponent's own error counts as often as the exponent is large), the step and three
  // products, each relative to the magnitudes they touch.
  std::vector<double> bound() const {
    const auto& [heads, P, G, N] = shape;
    std::vector<double> of_y(size_t(total_rows(sizes) * heads * P)), of_states;
    for (const Segment& seg : segments_of(sizes)) {
      for (index h = 0; h < heads; ++h) {
        const double A = -std::exp(double(A_log[size_t(h)]));
        for (index p = 0; p < P; ++p) {
          std::vector<double> size(static_cast<size_t>(N)), off(static_cast<size_t>(N));
          for (index n = 0; n < N; ++n)
            size[size_t(n)] = std::fabs(states[size_t(((seg.slot * heads + h) * P + p) * N + n)]);
          for (index t = seg.begin; t < seg.end; ++t) {
            const float* row = &xbc[size_t(t * width())];
            const float *B = row + heads * P + h / (heads / G) * N, *C = B + G * N;
            const double x = row[h * P + p], raw = double(dt[size_t(t * heads + h)]) + dt_bias[size_t(h)];
            const double step = std::max(std::max(raw, 0.0) + std::log1p(std::exp(-std::fabs(raw))), dt_min);
            // The sum dt + bias is rounded first; softplus has slope at most 1 and six roundings.
            const double step_off = kUnit * (std::fabs(raw) * std::exp(std::min(raw, 0.0)) / step + 6) + 1e-30;
            const double decay = std::exp(step * A), decay_off = -step * A * (step_off + 3 * kUnit) + 2 * kUnit;
            double y_off = 0, magnitudes = 0;
            for (index n = 0; n < N; ++n) {
              const double in = std::fabs(step * x * B[n]);
              off[size_t(n)] =
                  decay * off[size_t(n)] + decay * size[size_t(n)] * decay_off + in * (step_off + 2 * kUnit);
              size[size_t(n)] = decay * size[size_t(n)] + in;
              off[size_t(n)] += kUnit * size[size_t(n)] + kTiny;
              y_off += off[size_t(n)] * std::fabs(C[n]);
              magnitudes += size[size_t(n)] * std::fabs(C[n]);
            }
            of_y[size_t((t * heads + h) * P + p)] = y_off * 1.001 + kUnit * (double(N) / 16 + 1 + 4 + 1) * magnitudes +
                                                    2 * kUnit * std::fabs(D[size_t(h)] * x);
          }
          for (const double v : off) of_states.push_back(v * 1.001);
        }
      }
    }
    return join(of_y, of_states);
  }
};

TEST(ssm_scan, of_the_reference_follows_the_recurrence) {
  Rng rng(1);
  Scan scan(rng, {1, 1, 1, 2}, {2});
  scan.states = {1, -2};
  scan.A_log = {std::log(2.0f)}, scan.D = {3}, scan.dt_bias = {0.5f};
  scan.dt = {0.5f, 30};
  scan.xbc = {10, 1, 0, 4, 5, /* second token: */ 1, 0, 1, 2, 3};  // x | B B | C C
  const double step = std::log1p(std::exp(1.0)), A = -std::exp(double(scan.A_log[0])), decay = std::exp(step * A);
  const double s0 = decay + step * 10, s1 = -2 * decay, last = std::exp(30.5 * A);
  const std::vector<double> want = {4 * s0 + 5 * s1 + 30, 2 * s0 * last + 3 * (s1 * last + 30.5) + 3, s0 * last,
                                    s1 * last + 30.5};
  const std::vector<double> got = scan.run(reference());
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(got[i], want[i], 1e-12 * (1 + std::fabs(want[i]))) << i;
  // The least step replaces a smaller one, and only a smaller one.
  scan.dt_min = 2;
  EXPECT_NEAR(scan.run(reference())[2], (std::exp(2 * A) + 20) * last, 1e-12);
  scan.dt_min = 1;
  EXPECT_EQ(scan.run(reference()), got);
}

TEST(ssm_scan, keeps_law_1_for_every_odd_shape) {
  Rng rng(2);
  for (const ScanShape& shape : {ScanShape{1, 1, 1, 1},
                                 {2, 3, 1, 7},
                                 {4, 5, 2, 15},
                                 {3, 4, 3, 16},
                                 {4, 20, 4, 17},
                                 {6, 16, 3, 24},
                                 {2, 33, 1, 33},
                                 {8, 64, 8, 128},
                                 {1, 100, 1, 48}}) {
    for (const std::vector<index>& sizes : {std::vector<index>{1}, {2}, {100}, {1, 17, 3}}) {
      const Scan scan(rng, shape, sizes, rng() % 2 ? 0 : 0.05);
      SCOPED_TRACE(std::to_string(shape.heads) + " heads of " + std::to_string(shape.head_dim) + " x " +
                   std::to_string(shape.state_size));
      expect_parity([&](const auto& m) { return scan.run(m); }, scan.bound());
      if (HasFatalFailure()) return;
    }
  }
}

TEST(ssm_scan, bears_steps_of_every_size) {
  Rng rng(3);
  Scan scan(rng, {1, 2, 1, 3}, {41});
  for (int i = 0; i < 41; ++i) scan.dt[size_t(i)] = float(i * 10 - 200);
  scan.dt_bias = {0};
  expect_parity([&](const auto& m) { return scan.run(m); }, scan.bound());
}

// Feeds `scan` in pieces, the states going from one to the next.
std::vector<float> in_pieces(const Scan& scan, const std::vector<index>& pieces, SsmFormat format, index position,
                             const Machine<float>& m) {
  Scan part = scan;
  std::vector<float> y;
  index at = 0;
  for (const index n : pieces) {
    part.sizes = {n};
    part.xbc.assign(scan.xbc.begin() + at * scan.width(), scan.xbc.begin() + (at + n) * scan.width());
    part.dt.assign(scan.dt.begin() + at * scan.shape.heads, scan.dt.begin() + (at + n) * scan.shape.heads);
    const std::vector<float> out = part.run(m, format, 99, 7, position + at);
    const index size = n * scan.shape.heads * scan.shape.head_dim;
    y.insert(y.end(), out.begin(), out.begin() + size);
    part.states.assign(out.begin() + size, out.end());
    at += n;
  }
  return join(y, part.states);
}

TEST(ssm_scan, goes_on_from_its_state_with_the_same_bits_in_every_format) {
  Rng rng(4);
  for (const SsmFormat format : {SsmFormat::real, SsmFormat::f16}) {
    for (const index N : {16, 21}) {
      const Scan scan(rng, {4, 6, 2, N}, {30});
      for (const index position : {index(0), index(1000), index(1) << 33}) {
        const std::vector<float> want = in_pieces(scan, {30}, format, position, cpu());
        for_every_target([&] {
          expect_same_bits(in_pieces(scan, std::vector<index>(30, 1), format, position, cpu(3)), want);
          expect_same_bits(in_pieces(scan, {7, 1, 20, 2}, format, position, cpu(2)), want);
        });
      }
    }
  }
}

// After each token every element of a float16 state is f16_stochastic of its exact successor, with the noise of its
// place; the output sees the state before it is rounded.
template <class T>
void expect_keyed_noise(const Scan& scan, uint64_t seed, uint32_t layer, index position, const Machine<T>& m) {
  const index y_size = scan.shape.heads * scan.shape.head_dim;
  Scan one = scan;
  one.sizes = {1};
  for (index t = 0; t < scan.sizes[0]; ++t) {
    one.xbc.assign(scan.xbc.begin() + t * scan.width(), scan.xbc.begin() + (t + 1) * scan.width());
    one.dt.assign(scan.dt.begin() + t * scan.shape.heads, scan.dt.begin() + (t + 1) * scan.shape.heads);
    const std::vector<T> exact = one.run(m), rounded = one.run(m, SsmFormat::f16, seed, layer, position + t);
    for (index i = 0; i < y_size; ++i) ASSERT_TRUE(same_bits(float(rounded[size_t(i)]), float(exact[size_t(i)])));
    for (index i = 0; i < scan.elements(); ++i) {
      const uint32_t noise = state_noise(seed, layer, uint64_t(position + t), uint32_t(i / 4))[size_t(i % 4)];
      const float want = F16::decode(f16_stochastic(float(exact[size_t(y_size + i)]), noise));
      ASSERT_TRUE(same_bits(float(rounded[size_t(y_size + i)]), want)) << "token " << t << ", element " << i;
    }
    one.states.assign(rounded.begin() + y_size, rounded.end());
  }
}

TEST(ssm_scan, rounds_a_float16_state_with_the_noise_of_its_place) {
  Rng rng(5);
  for (const index N : {1, 3, 16, 18, 70}) {
    Scan scan(rng, {2, 9, 1, N}, {12});
    for (float& v : scan.xbc) v *= rng() % 3 ? 1.0f : 1e-4f;  // subnormal halves too
    scan.xbc[2] = 3e5f, scan.xbc[5] = -1e9f;                  // and some that become infinite
    const struct {
      uint64_t seed;
      uint32_t layer;
      index position;
    } places[] = {{0, 0, 0}, {12345, 3, 63}, {uint64_t(1) << 63 | 5, 100000, (index(1) << 32) - 6}};
    for (const auto& [seed, layer, position] : places) {
      expect_keyed_noise(scan, seed, layer, position, reference());
      for_every_target([&, s = seed, l = layer, p = position] { expect_keyed_noise(scan, s, l, p, cpu()); });
    }
  }
}

TEST(ssm_scan, does_not_move_a_state_that_float16_holds) {
  Rng rng(6);
  Scan scan(rng, {16, 64, 1, 64}, {3});
  for (float& v : scan.dt) v = -100;                                                           // no decay
  for (float& v : scan.xbc) v = 0;                                                             // nothing new
  for (size_t i = 0; i < scan.states.size(); ++i) scan.states[i] = F16::decode(F16::Code(i));  // every one there is
  scan.states[0x8000] = 0;  // the sum of -0 and nothing is 0
  for_every_target([&] {
    const std::vector<float> out = scan.run(cpu(2), SsmFormat::f16, 1);
    expect_same_bits({out.end() - index(scan.states.size()), out.end()}, scan.states);
  });
}

}  // namespace
}  // namespace nemotron
