// The cache of keys and values, and attention over it, across page borders, in every format, against the reference.

#include <gtest/gtest.h>

#include "ops/kit.h"

namespace nemotron {
namespace {

using namespace test;

// Sequences with a history, each of which brings new rows.
struct Attention {
  struct Sequence {
    index history, rows;
  };
  AttentionShape shape;
  KvFormat format;
  float k_scale, v_scale;
  std::vector<Sequence> sequences;
  std::vector<float> q, k, v;                      // of the new rows
  std::vector<std::vector<float>> past_k, past_v;  // of each history

  Attention(Rng& rng, const AttentionShape& s, KvFormat f, const std::vector<Sequence>& seqs, float spread = 1)
      : shape(s),
        format(f),
        k_scale(f == KvFormat::fp8 ? 0.021f : 1),
        v_scale(f == KvFormat::fp8 ? 0.013f : 1),
        sequences(seqs) {
    q = random_floats(rng, rows() * s.heads * s.head_dim, spread);
    k = random_floats(rng, rows() * kv_cols(), spread);
    v = random_floats(rng, rows() * kv_cols());
    for (const Sequence& one : sequences) {
      past_k.push_back(random_floats(rng, one.history * kv_cols(), spread));
      past_v.push_back(random_floats(rng, one.history * kv_cols()));
    }
  }

  index kv_cols() const { return shape.kv_heads * shape.head_dim; }
  index rows() const {
    index n = 0;
    for (const Sequence& s : sequences) n += s.rows;
    return n;
  }

  // Pages whose unused positions hold NaN: whoever reads them is found out.
  template <class T>
  struct Pages {
    std::vector<std::vector<std::byte>> bytes;
    std::vector<std::byte*> data;
    Pages(const Attention& a, index positions) {
      const size_t size = size_t(2 * a.kv_cols() * kPage) * kv_size(a.format, real_of<T>());
      for (index p = 0; p < positions; p += kPage) bytes.emplace_back(size, std::byte(0xFF));
      for (auto& b : bytes) data.push_back(b.data());
    }
  };

  template <class T>
  void store(const Machine<T>& m, const std::vector<float>& keys, const std::vector<float>& values,
             const std::vector<Segment>& segments, const std::vector<KvCache>& caches) const {
    const index n = segments.back().end;
    auto kt = m.table(n, kv_cols(), keys), vt = m.table(n, kv_cols(), values);
    m.ops.kv_store(m.threads, shape, kt.rows(), vt.rows(), segments, caches);
  }

  template <class T>
  std::vector<T> run(const Machine<T>& m, std::vector<std::byte>* codes = nullptr) const {
    std::vector<Pages<T>> pages;
    std::vector<KvCache> caches;
    std::vector<Segment> segments;
    for (size_t s = 0; s < sequences.size(); ++s) {
      const auto& [history, n] = sequences[s];
      pages.emplace_back(*this, history + n);
      KvCache cache{pages.back().data.data(), format, k_scale, v_scale, 0};
      if (history) store(m, past_k[s], past_v[s], {{0, history, 0}}, {cache});
      cache.position = history;
      caches.push_back(cache);
      const index begin = segments.empty() ? 0 : segments.back().end;
      segments.push_back({begin, begin + n, int(s)});
    }
    store(m, k, v, segments, caches);
    const index cols = shape.heads * shape.head_dim;
    auto in = m.table(rows(), cols, q), y = m.table(rows(), cols);
    m.ops.attention(m.threads, m.arena, shape, in.rows(), segments, caches, y.rows());
    if (codes)
      for (const Pages<T>& p : pages)
        for (const auto& b : p.bytes) codes->insert(codes->end(), b.begin(), b.end());
    return y.values();
  }

  float stored(float x, float scale) const {
    return format == KvFormat::real   ? x
           : format == KvFormat::bf16 ? Bf16::decode(Bf16::encode(x))
                                      : E4m3::decode(E4m3::encode(x / scale)) * scale;
  }

  // A score is off by the roundings of a dot product over head_dim, twice those of decoding, and the scale; its weight
  // by that, its maximum's (which cancels only in truth) and the exponential's; the quotient of two sums of at most 64
  // terms and a few pages by both.
  std::vector<double> bound() const {
    std::vector<double> b;
    index row = 0;
    for (size_t s = 0; s < sequences.size(); ++s) {
      const auto& [history, n] = sequences[s];
      for (index i = 0; i < n; ++i, ++row) {
        for (index head = 0; head < shape.heads; ++head) {
          const index g = head / (shape.heads / shape.kv_heads), last = history + i, hd = shape.head_dim;
          const auto at = [&, h = history](const std::vector<float>& past, const std::vector<float>& now, index j,
                                           index d) {
            const index c = g * hd + d;
            return j < h ? past[size_t(j * kv_cols() + c)] : now[size_t((row - i + j - h) * kv_cols() + c)];
          };
          std::vector<double> score, p;
          double off = 0, most = -INFINITY, sum = 0;
          for (index j = 0; j <= last; ++j) {
            double dot = 0, size = 0;
            for (index d = 0; d < hd; ++d) {
              const double term =
                  double(q[size_t((row * shape.heads + head) * hd + d)]) * stored(at(past_k[s], k, j, d), k_scale);
              dot += term, size += std::fabs(term);
            }
            score.push_back(dot / std::sqrt(double(hd)));
            off = std::max(off, size / std::sqrt(double(hd)));
            most = std::max(most, score.back());
          }
          for (const double v1 : score) p.push_back(std::exp(v1 - most)), sum += p.back();
          const double pages = double(last / kPage) + 1;
          const double weight_off =
              2 * kUnit * ((double(hd) / 16 + 1 + 4 + 3 + 2) * off + std::fabs(most)) + (2 + 2 * pages) * 2 * kUnit;
          const double roundings = kUnit * (64 + 4 + 2 * pages + 3);
          for (index d = 0; d < hd; ++d) {
            double magnitude = 0;
            for (index j = 0; j <= last; ++j)
              magnitude += p[size_t(j)] * std::fabs(stored(at(past_v[s], v, j, d), v_scale));
            b.push_back((2 * weight_off + 2 * roundings) * magnitude / sum + 1e-37);
          }
        }
      }
    }
    return b;
  }
};

TEST(attention, of_the_reference_mixes_values_by_softmax) {
  const auto m = reference();
  Rng rng(0);
  Attention a(rng, {2, 1, 4}, KvFormat::real, {{0, 2}});
  a.q = {0, 0, 0, 0, /* head 1 */ 9, 9, 9, 9, /* row 1 */ 1, 0, 0, 0, /* head 1 */ 0, 2, 0, 0};
  a.k = {1, 0, 0, 0, /* position 1 */ 0, 3, 0, 0};
  a.v = {1, 2, 3, 4, /* position 1 */ 5, 6, 7, 8};
  const std::vector<double> y = a.run(m);
  const double w = 1 / (1 + std::exp(0.5)), u = 1 / (1 + std::exp(-3.0));  // scores 0.5 and 0; 0 and 3
  for (size_t d = 0; d < 4; ++d) {
    EXPECT_EQ(y[d], double(d + 1)) << "the first row sees itself alone";
    EXPECT_EQ(y[4 + d], double(d + 1));
    EXPECT_NEAR(y[8 + d], double(d + 1) + 4 * w, 1e-14);
    EXPECT_NEAR(y[12 + d], double(d + 1) + 4 * u, 1e-14);
  }
}

TEST(attention, keeps_law_1_for_every_odd_shape) {
  Rng rng(1);
  for (const AttentionShape& shape :
       {AttentionShape{1, 1, 1}, {2, 1, 3}, {3, 3, 16}, {4, 2, 20}, {9, 1, 17}, {16, 1, 33}, {6, 2, 64}}) {
    for (const KvFormat format : {KvFormat::real, KvFormat::bf16, KvFormat::fp8}) {
      for (const index rows : {1, 2, 3, 4, 5, 9}) {
        const Attention a(rng, shape, format, {{rng() % 2 ? 60 : 0, rows}, {5, 1}, {128 - rows + 1, rows}});
        SCOPED_TRACE(std::to_string(shape.heads) + " heads of " + std::to_string(shape.head_dim) + ", " +
                     std::to_string(rows) + " rows");
        expect_parity([&](const auto& m) { return a.run(m); }, a.bound());
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(attention, keeps_law_1_at_every_page_border) {
  Rng rng(2);
  for (const KvFormat format : {KvFormat::real, KvFormat::bf16, KvFormat::fp8}) {
    for (const index head_dim : {16, 20}) {
      for (const index positions : {1, 2, 63, 64, 65, 127, 128, 129, 192, 193}) {
        const Attention a(rng, {4, 2, head_dim}, format, {{positions - 1, 1}});
        expect_parity([&](const auto& m) { return a.run(m); }, a.bound());
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(attention, keeps_law_1_at_every_span_border) {
  Rng rng(6);
  constexpr index span = kSpan * kPage;
  for (const KvFormat format : {KvFormat::real, KvFormat::bf16, KvFormat::fp8}) {
    for (const index positions : {span - 1, span, span + 1, 2 * span, 3 * span - 20}) {
      for (const index rows : {1, 5}) {
        const Attention a(rng, {4, 2, 8}, format, {{positions - rows, rows}, {3, 1}});
        expect_parity([&](const auto& m) { return a.run(m); }, a.bound());
        // Enough threads to cut the context, and too many.
        const std::vector<float> want = a.run(cpu(1));
        for (const int threads : {2, 7, 16}) expect_same_bits(a.run(cpu(threads)), want);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(attention, gives_a_row_the_same_bits_in_a_prompt_and_alone_beyond_a_span) {
  Rng rng(7);
  const AttentionShape shape{16, 2, 16};
  const index q_cols = 16 * 16, kv_cols = 2 * 16;
  for (const index history : {kSpan * kPage - 3, 2 * kSpan * kPage + 61}) {
    const Attention whole(rng, shape, KvFormat::bf16, {{history, 40}});
    for_every_target([&] {
      const std::vector<float> want = whole.run(cpu());
      for (const index row : {0, 1, 2, 3, 4, 39}) {
        const auto part = [&](const std::vector<float>& rows, index cols, index begin, index end) {
          return std::vector<float>(rows.begin() + begin * cols, rows.begin() + end * cols);
        };
        Attention one = whole;
        one.sequences = {{history + row, 1}};
        one.past_k = {join(whole.past_k[0], part(whole.k, kv_cols, 0, row))};
        one.past_v = {join(whole.past_v[0], part(whole.v, kv_cols, 0, row))};
        one.q = part(whole.q, q_cols, row, row + 1);
        one.k = part(whole.k, kv_cols, row, row + 1), one.v = part(whole.v, kv_cols, row, row + 1);
        for (const int threads : {1, 2, 5}) expect_same_bits(one.run(cpu(threads)), part(want, q_cols, row, row + 1));
      }
    });
  }
}

TEST(attention, gives_a_row_the_same_bits_for_any_cut_of_its_sequence) {
  Rng rng(3);
  for (const KvFormat format : {KvFormat::real, KvFormat::bf16, KvFormat::fp8}) {
    const AttentionShape shape{9, 1, 20};
    constexpr index T = 140, kCols = 9 * 20, kKv = 20;
    const Attention whole(rng, shape, format, {{0, T}});
    const std::vector<float> want = whole.run(cpu());
    for_every_target([&] {
      expect_same_bits(whole.run(cpu(5)), want);
      for (const index first : {0, 1, 60, 63, 64, 65, 127, 128, 139}) {
        Attention rest(rng, shape, format, {{first, T - first}, {7, 3}});  // beside a stranger
        const auto part = [](const std::vector<float>& rows, index cols, index begin, index end) {
          return std::vector<float>(rows.begin() + begin * cols, rows.begin() + end * cols);
        };
        rest.past_k[0] = part(whole.k, kKv, 0, first), rest.past_v[0] = part(whole.v, kKv, 0, first);
        rest.q = join(part(whole.q, kCols, first, T), part(rest.q, kCols, T - first, T - first + 3));
        rest.k = join(part(whole.k, kKv, first, T), part(rest.k, kKv, T - first, T - first + 3));
        rest.v = join(part(whole.v, kKv, first, T), part(rest.v, kKv, T - first, T - first + 3));
        expect_same_bits(part(rest.run(cpu(3)), kCols, 0, T - first), part(want, kCols, first, T));
      }
    });
  }
}

TEST(attention, bears_scores_far_apart) {
  Rng rng(4);
  for (const float spread : {10.0f, 60.0f}) {
    const Attention a(rng, {2, 1, 16}, KvFormat::real, {{100, 40}}, spread);
    expect_parity([&](const auto& m) { return a.run(m); }, a.bound());
  }
  // All scores far below zero: only their differences count.
  Attention low(rng, {1, 1, 16}, KvFormat::real, {{0, 130}});
  for (float& x : low.q) x = -30;
  for (float& x : low.k) x = 30;
  expect_parity([&](const auto& m) { return low.run(m); }, low.bound());
}

TEST(attention, keeps_a_nan_of_an_fp8_cache) {
  Rng rng(8);
  Attention a(rng, {2, 1, 20}, KvFormat::fp8, {{0, 3}});
  a.v[20 + 7] = NAN;  // the second position's value, seen by rows 1 and 2
  for_every_target([&] {
    const std::vector<float> y = a.run(cpu());
    for (index row = 0; row < 3; ++row)
      for (index head = 0; head < 2; ++head)
        for (index d = 0; d < 20; ++d)
          EXPECT_EQ(std::isnan(y[size_t((row * 2 + head) * 20 + d)]), row > 0 && d == 7) << row << " " << d;
  });
}

TEST(kv_store, of_every_backend_writes_the_same_codes_where_they_belong) {
  Rng rng(5);
  for (const KvFormat format : {KvFormat::bf16, KvFormat::fp8}) {
    Attention a(rng, {2, 2, 20}, format, {{62, 5}, {0, 1}});
    a.k[0] = 1e30f, a.k[1] = -INFINITY, a.k[2] = -0.0f, a.k[3] = 1e-30f;  // saturates, vanishes
    std::vector<std::byte> want, got;
    a.run(reference(), &want);
    const size_t size = kv_size(format, Real::f64);
    const auto code = [&](index page, bool value, index head, index position, index d) {
      const index start = (page * 4 + (value ? 2 : 0) + head) * kPage * 20;
      const auto at = size_t(start + (value ? position * 20 + d : d * kPage + position)) * size;
      uint16_t c = 0;
      std::memcpy(&c, &want[at], size);
      return c;
    };
    const auto encode = [&](float x, float scale) {
      return format == KvFormat::bf16 ? Bf16::encode(x) : uint16_t(E4m3::encode(x / scale));
    };
    // Row 0 of the first sequence is position 62, row 2 the first of page 1; the second sequence has page 2.
    for (index head = 0; head < 2; ++head) {
      for (index d = 0; d < 20; ++d) {
        const auto at = [&](const std::vector<float>& rows, index t) { return rows[size_t(t * 40 + head * 20 + d)]; };
        EXPECT_EQ(code(0, false, head, 62, d), encode(at(a.k, 0), a.k_scale));
        EXPECT_EQ(code(1, true, head, 0, d), encode(at(a.v, 2), a.v_scale));
        EXPECT_EQ(code(2, false, head, 0, d), encode(at(a.k, 5), a.k_scale));
        EXPECT_EQ(code(0, true, head, 61, d), encode(at(a.past_v[0], 61), a.v_scale));
        EXPECT_EQ(code(1, true, head, 3, d), size == 1 ? 0xFF : 0xFFFF) << "written beyond the last position";
      }
    }
    for_every_target([&] {
      got.clear();
      a.run(cpu(3), &got);
      EXPECT_EQ(got, want);
    });
  }
}

}  // namespace
}  // namespace nemotron
