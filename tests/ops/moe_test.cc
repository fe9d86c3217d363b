// Routing, the meeting of expert outputs, and gathering, against the reference and against hand-written cases.

#include <gtest/gtest.h>

#include <bit>
#include <numeric>
#include <optional>
#include <set>

#include "ops/kit.h"

namespace nemotron {
namespace {

using namespace test;

struct Routed {
  std::vector<int32_t> expert;
  std::vector<double> weight;
};

template <class T>
Routed route(const Machine<T>& m, const RouteShape& shape, index rows, const std::vector<float>& logits,
             const std::vector<float>& bias) {
  Routed r{std::vector<int32_t>(size_t(rows * shape.picks), -1), {}};
  auto in = m.table(rows, shape.experts, logits), weight = m.table(rows, shape.picks);
  m.ops.route(m.threads, shape, in.rows(), bias, {r.expert, weight.rows()});
  for (const T w : weight.values()) r.weight.push_back(double(w));
  return r;
}

double logit(double p) { return std::log(p / (1 - p)); }

std::vector<float> logits_of(const std::vector<double>& scores) {
  std::vector<float> v;
  for (const double p : scores) v.push_back(float(logit(p)));
  return v;
}

// Both backends, all targets.
template <class Check>
void on_every_machine(const Check& check) {
  check(reference());
  for_every_target([&] { check(cpu()); });
}

TEST(route, picks_by_score_and_bias_but_weighs_by_score) {
  on_every_machine([](const auto& m) {
    const auto logits = logits_of({0.9, 0.2, 0.5, 0.6});
    const Routed plain = route(m, {4, 2, 1, 1, true, 2.5}, 1, logits, {0, 0, 0, 0});
    EXPECT_EQ(plain.expert, (std::vector<int32_t>{0, 3}));
    EXPECT_NEAR(plain.weight[0], 2.5 * 0.9 / 1.5, 1e-6);
    EXPECT_NEAR(plain.weight[1], 2.5 * 0.6 / 1.5, 1e-6);
    const Routed biased = route(m, {4, 2, 1, 1, true, 2.5}, 1, logits, {-0.5f, 1, 0, 0});
    EXPECT_EQ(biased.expert, (std::vector<int32_t>{1, 3}));  // 0.4, 1.2, 0.5, 0.6
    EXPECT_NEAR(biased.weight[0], 2.5 * 0.2 / 0.8, 1e-6);
    const Routed raw = route(m, {4, 2, 1, 1, false, 2}, 1, logits, {0, 0, 0, 0});
    EXPECT_NEAR(raw.weight[0], 1.8, 1e-6);
    EXPECT_NEAR(raw.weight[1], 1.2, 1e-6);
  });
}

TEST(route, gives_ties_to_the_lower_number) {
  on_every_machine([](const auto& m) {
    for (const index experts : {2, 5, 16, 33, 100}) {
      for (index picks = 1; picks <= std::min<index>(experts, 22); picks += 3) {
        std::vector<int32_t> first(static_cast<size_t>(picks));
        std::iota(first.begin(), first.end(), 0);
        const std::vector<float> level(size_t(experts), 0.3f), none(static_cast<size_t>(experts));
        EXPECT_EQ(route(m, {experts, picks, 1, 1, true, 1}, 1, level, none).expert, first);
        // One expert above the rest, the last one: it displaces the highest of the equals.
        std::vector<float> peak = level;
        peak.back() = 2;
        first.back() = int32_t(experts - 1);
        EXPECT_EQ(route(m, {experts, picks, 1, 1, true, 1}, 1, peak, none).expert, first);
      }
    }
  });
}

TEST(route, keeps_the_best_groups_by_their_two_best) {
  on_every_machine([](const auto& m) {
    // Sums of the two best: 0.9 + 0.1, 0.6 + 0.55, 0.5 + 0.4, 0.52 + 0.5.
    const auto logits = logits_of({0.9, 0.1, 0.05, 0.6, 0.55, 0.01, 0.5, 0.4, 0.39, 0.52, 0.5, 0.45});
    const std::vector<float> none(12);
    EXPECT_EQ(route(m, {12, 3, 4, 2, true, 1}, 1, logits, none).expert, (std::vector<int32_t>{3, 4, 9}));
    EXPECT_EQ(route(m, {12, 3, 4, 1, true, 1}, 1, logits, none).expert, (std::vector<int32_t>{3, 4, 5}));
    EXPECT_EQ(route(m, {12, 3, 4, 3, true, 1}, 1, logits, none).expert, (std::vector<int32_t>{0, 3, 4}));
    EXPECT_EQ(route(m, {12, 3, 4, 4, true, 1}, 1, logits, none).expert, (std::vector<int32_t>{0, 3, 4}));
    // Groups that tie: the lower number again.
    EXPECT_EQ(route(m, {4, 1, 2, 1, true, 1}, 1, {0, 0, 0, 0}, {0, 0, 0, 0}).expert, (std::vector<int32_t>{0}));
    // Groups of one expert: its own score.
    EXPECT_EQ(route(m, {3, 2, 3, 2, true, 1}, 1, {0, 2, 1}, {0, 0, 0}).expert, (std::vector<int32_t>{1, 2}));
    // The bias counts in choosing groups.
    EXPECT_EQ(route(m, {4, 2, 2, 1, true, 1}, 1, {3, 3, 0, 0}, {0, 0, 1, 1}).expert, (std::vector<int32_t>{2, 3}));
  });
}

TEST(route, picks_distinct_experts_whatever_the_logits_are) {
  on_every_machine([](const auto& m) {
    for (const std::vector<float>& logits : {std::vector<float>(8, NAN),
                                             std::vector<float>(8, -INFINITY),
                                             std::vector<float>(8, INFINITY),
                                             std::vector<float>{NAN, 1, NAN, 2, -INFINITY, INFINITY, NAN, 0},
                                             {-200, -300, 100, -1e30f, 1e30f, 0, 0, 0}}) {
      for (const index groups : {1, 4}) {
        const Routed r = route(m, {8, 4, groups, groups == 1 ? 1 : 2, true, 1}, 1, logits, std::vector<float>(8));
        EXPECT_EQ(std::set<int32_t>(r.expert.begin(), r.expert.end()).size(), 4u);
        EXPECT_TRUE(std::is_sorted(r.expert.begin(), r.expert.end()));
        for (const int32_t e : r.expert) EXPECT_TRUE(e >= 0 && e < 8) << e;
      }
    }
  });
}

TEST(route, keeps_law_1_for_every_odd_shape) {
  Rng rng(1);
  for (const RouteShape& shape : {RouteShape{2, 1, 1, 1, true, 1},
                                  {3, 3, 1, 1, false, 2.5},
                                  {15, 4, 1, 1, true, 2.5},
                                  {17, 6, 1, 1, true, 5},
                                  {24, 5, 4, 2, true, 2.5},
                                  {33, 7, 3, 2, false, 1},
                                  {100, 22, 1, 1, true, 5},
                                  {512, 22, 8, 4, true, 5}}) {
    for (const index rows : {1, 9, 40}) {
      // Choices on a grid far coarser than rounding, no two alike in a row, so that every backend must pick the same.
      std::vector<float> logits, bias(static_cast<size_t>(shape.experts));
      for (index t = 0; t < rows; ++t) {
        std::vector<double> scores(static_cast<size_t>(shape.experts));
        for (size_t e = 0; e < scores.size(); ++e)
          scores[e] = 0.01 + 0.9 * (double(e) + 0.2 * double(rng() % 100) / 100) / double(scores.size());
        std::shuffle(scores.begin(), scores.end(), rng);
        const std::vector<float> row = logits_of(scores);
        logits.insert(logits.end(), row.begin(), row.end());
      }
      const Routed want = route(reference(), shape, rows, logits, bias);
      Routed first;
      for_every_target([&] {
        for (const int threads : {1, 3}) {
          const Routed got = route(cpu(threads), shape, rows, logits, bias);
          EXPECT_EQ(got.expert, want.expert);
          // Sigmoid, the sum of the picks, the quotient, the scale.
          for (size_t i = 0; i < want.weight.size(); ++i)
            ASSERT_LE(std::fabs(got.weight[i] - want.weight[i]),
                      (5 + 5 + double(shape.picks) + 3) * kUnit * want.weight[i]);
          if (first.expert.empty()) first = got;
          EXPECT_EQ(got.weight, first.weight);
        }
      });
      ASSERT_EQ(first.weight.size(), want.weight.size());
      // A row alone gives the same.
      const Routed alone = route(cpu(), shape, 1, {logits.end() - shape.experts, logits.end()}, bias);
      for (size_t j = 0; j < alone.weight.size(); ++j)
        EXPECT_EQ(alone.weight[j], first.weight[first.weight.size() - alone.weight.size() + j]);
    }
  }
}

// ---- combine

// The picks of each token, ascending, their weights and the rows of x that they made.
struct Combination {
  index experts, picks, cols, tokens;
  std::vector<int32_t> expert;
  std::vector<float> weight, x;
  std::vector<index> rows;

  Combination(Rng& rng, index experts_, index picks_, index cols_, index tokens_)
      : experts(experts_), picks(picks_), cols(cols_), tokens(tokens_) {
    for (index t = 0; t < tokens; ++t) {
      std::vector<int32_t> all(static_cast<size_t>(experts));
      std::iota(all.begin(), all.end(), 0);
      std::shuffle(all.begin(), all.end(), rng);
      std::sort(all.begin(), all.begin() + picks);
      expert.insert(expert.end(), all.begin(), all.begin() + picks);
    }
    weight = random_floats(rng, tokens * picks);
    x = random_floats(rng, tokens * picks * cols);
    rows.resize(size_t(tokens * picks));
    std::iota(rows.begin(), rows.end(), 0);
    std::shuffle(rows.begin(), rows.end(), rng);
  }

  template <class T>
  std::vector<T> run(const Machine<T>& m) const {
    auto in = m.table(tokens * picks, cols, x), w = m.table(tokens, picks, weight), y = m.table(tokens, cols);
    std::vector<int32_t> e = expert;
    m.ops.combine(m.threads, experts, {e, w.rows()}, rows, in.rows(), y.rows());
    return y.values();
  }

  // The tree by its definition: the sum of experts begin .. end-1 is that of its two halves; `end - begin` is a power
  // of two, and what nobody picked is skipped.
  std::optional<float> node(index t, index c, index begin, index end) const {
    if (end - begin == 1) {
      for (index j = t * picks; j < (t + 1) * picks; ++j)
        if (expert[size_t(j)] == begin) return weight[size_t(j)] * x[size_t(rows[size_t(j)] * cols + c)];
      return {};
    }
    const index middle = (begin + end) / 2;
    const auto left = node(t, c, begin, middle), right = node(t, c, middle, end);
    return left && right ? *left + *right : left ? left : right;
  }
};

TEST(combine, adds_experts_0_and_1_before_5) {
  // In float32 1e8 + 1 - 1e8 depends on the order: (0 with 1) with 5.
  Rng rng(1);
  Combination c(rng, 8, 3, 1, 1);
  c.expert = {0, 1, 5}, c.weight = {1, 1, 1}, c.rows = {2, 0, 1};
  c.x = {1, -1e8f, 1e8f};  // expert 0 made row 2: 1e8; expert 1 row 0: 1; expert 5 row 1: -1e8
  for_every_target([&] { EXPECT_EQ(c.run(cpu())[0], (1e8f + 1.0f) + -1e8f); });
  c.expert = {1, 4, 5};  // now 4 and 5 meet first
  for_every_target([&] { EXPECT_EQ(c.run(cpu())[0], 1e8f + (1.0f + -1e8f)); });
  EXPECT_EQ(c.run(reference())[0], 1.0);
}

TEST(combine, follows_the_tree_over_expert_numbers_for_every_shape) {
  Rng rng(2);
  for (const auto& [experts, picks] : std::vector<std::pair<index, index>>{
           {1, 1}, {2, 1}, {2, 2}, {3, 3}, {5, 2}, {8, 3}, {11, 4}, {24, 5}, {100, 22}, {512, 22}}) {
    for (const index cols : {1, 3, 15, 16, 17, 33, 100}) {
      const Combination c(rng, experts, picks, cols, 7);
      std::vector<double> bound;
      std::vector<float> tree;
      const auto top = index(std::bit_ceil(uint64_t(experts)));
      for (index t = 0; t < c.tokens; ++t) {
        for (index col = 0; col < cols; ++col) {
          double sum = 0;
          for (index j = t * picks; j < (t + 1) * picks; ++j)
            sum += std::fabs(double(c.weight[size_t(j)]) * c.x[size_t(c.rows[size_t(j)] * cols + col)]);
          bound.push_back((std::log2(double(top)) + 1) * kUnit * sum);
          tree.push_back(*c.node(t, col, 0, top));
        }
      }
      expect_parity([&](const auto& m) { return c.run(m); }, bound);
      expect_same_bits(c.run(cpu(2)), tree);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(gather, copies_the_rows_that_are_named) {
  Rng rng(3);
  for (const index cols : {1, 3, 16, 100}) {
    const std::vector<float> x = random_floats(rng, 9 * cols);
    std::vector<index> rows(300);
    for (index& r : rows) r = index(rng() % 9);
    std::vector<double> want;
    for (const index r : rows)
      for (index c = 0; c < cols; ++c) want.push_back(x[size_t(r * cols + c)]);
    const auto op = [&](const auto& m) {
      auto in = m.table(9, cols, x), y = m.table(index(rows.size()), cols);
      m.ops.gather(m.threads, rows, in.rows(), y.rows());
      return y.values();
    };
    EXPECT_EQ(op(reference()), want);
    expect_parity(op, std::vector<double>(want.size()));
  }
}

}  // namespace
}  // namespace nemotron
