// The sampler: what each filter keeps against a plain implementation, the shares of tokens, and noise that only seed
// and position decide.

#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>

#include "base/error.h"
#include "base/philox.h"

namespace nemotron {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

Sampling greedy() { return {.temperature = 0}; }

TEST(sampler, greedy_takes_the_best_and_the_lower_of_equals) {
  EXPECT_EQ(sample(std::vector<float>{1, 3, 2}, greedy(), 0), 1);
  EXPECT_EQ(sample(std::vector<float>{3, 1, 3}, greedy(), 5), 0);
  EXPECT_EQ(sample(std::vector<float>{-kInf, -7, -7}, greedy(), 5), 1);
  EXPECT_EQ(sample(std::vector<float>{0.0f, -0.0f}, greedy(), 5), 0);
  EXPECT_EQ(sample(std::vector<float>{-0.0f, 0.0f}, greedy(), 5), 0) << "minus zero is as large as zero";
  EXPECT_EQ(sample(std::vector<float>{4}, greedy(), 5), 0);
  EXPECT_EQ(sample(std::vector<float>{1, 2, 3}, {.temperature = 1, .top_k = 1}, 9), 2);
}

// Probabilities after temperature, top-k, top-p and min-p, each a filter of its own on the whole list; 0: filtered out.
std::vector<double> plain(const std::vector<float>& logits, const Sampling& s) {
  const size_t V = logits.size();
  std::vector<size_t> order(V);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  std::vector<double> p(V);
  for (size_t i = 0; i < V; ++i) p[i] = std::exp((double(logits[i]) - logits[order[0]]) / s.temperature);
  const auto normalize = [&] {
    const double sum = std::accumulate(p.begin(), p.end(), 0.0);
    for (double& v : p) v /= sum;
  };
  if (s.top_k > 0)
    for (size_t r = size_t(s.top_k); r < V; ++r) p[order[r]] = 0;
  normalize();
  if (s.top_p < 1) {
    double before = 0;  // the share of all better tokens
    for (const size_t i : order) {
      const double share = p[i];
      if (before >= s.top_p) p[i] = 0;
      before += share;
    }
    normalize();
  }
  const double most = *std::max_element(p.begin(), p.end());
  for (double& v : p)
    if (v < s.min_p * most) v = 0;
  normalize();
  return p;
}

// Draws at 20,000 positions; the shares must pass a chi-square test that a true sampler fails once in a million. Seeds
// are fixed, so that the outcome is the same in every run.
void expect_shares(const std::vector<float>& logits, const Sampling& s) {
  const std::vector<double> p = plain(logits, s);
  constexpr int kDraws = 20000;
  std::vector<int> drawn(logits.size());
  for (int i = 0; i < kDraws; ++i) ++drawn[size_t(sample(logits, s, uint64_t(i)))];
  double chi2 = 0, free = -1;
  for (size_t i = 0; i < p.size(); ++i) {
    if (p[i] == 0) {
      EXPECT_EQ(drawn[i], 0) << "token " << i << " was filtered out";
    } else {
      const double expected = p[i] * kDraws;
      chi2 += (drawn[i] - expected) * (drawn[i] - expected) / expected;
      free += 1;
    }
  }
  EXPECT_LT(chi2, free + 5 * std::sqrt(2 * std::max(free, 0.0)) + 15) << free << " degrees of freedom";
}

TEST(sampler, draws_what_each_filter_keeps_in_its_shares) {
  const std::vector<float> logits = {1.0f, -0.5f, 2.0f, 0.3f, 2.0f, -kInf, 0.9f, -3.0f};
  expect_shares(logits, {});
  for (const double temperature : {0.3, 0.7, 1.5, 20.0}) expect_shares(logits, {.temperature = temperature, .seed = 1});
  for (const index k : {1, 2, 3, 5, 7, 8, 100}) expect_shares(logits, {.top_k = k, .seed = 2});
  for (const double top_p : {1e-9, 0.2, 0.3, 0.34, 0.5, 0.7, 0.9, 0.97, 0.9999, 1.0})
    expect_shares(logits, {.top_p = top_p, .seed = 3});
  for (const double min_p : {0.0, 0.01, 0.1, 0.3, 0.36, 0.4, 0.99, 1.0})
    expect_shares(logits, {.min_p = min_p, .seed = 4});
  expect_shares(logits, {.temperature = 1.3, .top_k = 5, .top_p = 0.9, .min_p = 0.2, .seed = 5});
  expect_shares(logits, {.temperature = 0.5, .top_k = 3, .top_p = 0.6, .min_p = 0.5, .seed = 6});
}

TEST(sampler, takes_the_fewest_tokens_that_reach_top_p_exactly) {
  const std::vector<float> even(4);  // a quarter each
  const auto kept = [&](double top_p) {
    std::set<int32_t> seen;
    for (uint64_t i = 0; i < 400; ++i) seen.insert(sample(even, {.top_p = top_p}, i));
    return seen;
  };
  EXPECT_EQ(kept(0.25), (std::set<int32_t>{0}));
  EXPECT_EQ(kept(0.2501), (std::set<int32_t>{0, 1}));
  EXPECT_EQ(kept(0.5), (std::set<int32_t>{0, 1}));
  EXPECT_EQ(kept(0.75), (std::set<int32_t>{0, 1, 2}));
  EXPECT_EQ(kept(0.7501), (std::set<int32_t>{0, 1, 2, 3}));
}

TEST(sampler, keys_its_noise_by_seed_and_position_alone) {
  std::mt19937 rng(1);
  std::vector<float> logits(1000);
  for (float& v : logits) v = std::normal_distribution<float>(0, 2)(rng);
  std::vector<int32_t> first, again, other, shifted;
  for (uint64_t i = 0; i < 100; ++i) {
    first.push_back(sample(logits, {.seed = 7}, i));
    other.push_back(sample(logits, {.seed = 8}, i));
    shifted.push_back(sample(logits, {.seed = 7}, i + (uint64_t{1} << 32)));
  }
  for (uint64_t i = 100; i-- > 0;) again.push_back(sample(logits, {.seed = 7}, i));  // in any order
  std::reverse(again.begin(), again.end());
  EXPECT_EQ(first, again);
  EXPECT_NE(first, other);
  EXPECT_NE(first, shifted) << "positions beyond 2^32";
  EXPECT_NE(sample(logits, {.seed = 7}, 3), sample(logits, {.seed = 7 | uint64_t{1} << 63}, 3))
      << "the upper half of the seed";
  // The draw that the header states.
  for (uint64_t i = 0; i < 200; ++i) {
    const uint32_t word = philox4x32({uint32_t(i), 0, 0x53414d50, 0}, {42, 0})[0];
    EXPECT_EQ(sample(std::vector<float>{0, 0}, {.seed = 42}, i), word < 0x80000000 ? 0 : 1);
  }
}

TEST(sampler, bears_extreme_temperatures_and_logits) {
  const std::vector<float> logits = {1, 2, 3, 3, -3e38f, 3e38f, -kInf};
  const std::vector<float> calm = {1, 2, 3, 3};
  for (uint64_t i = 0; i < 100; ++i) {
    EXPECT_EQ(sample(logits, {.temperature = 1}, i), 5);
    EXPECT_GE(sample(calm, {.temperature = 5e-324}, i), 2) << "only the equal best are left";
    EXPECT_GE(sample(calm, {.temperature = 1e-5}, i), 2);
    EXPECT_NE(sample(logits, {.temperature = 1000}, i), 6) << "minus infinity is never drawn";
  }
  expect_shares(calm, {.temperature = 1000});
  expect_shares(calm, {.temperature = 5e-324});
}

TEST(sampler, refuses_logits_that_are_no_numbers) {
  const Sampling any;
  for (const Sampling& s : {any, greedy()}) {
    EXPECT_THROW(sample(std::vector<float>{1, NAN, 2}, s, 0), Error);
    EXPECT_THROW(sample(std::vector<float>{-kInf, -kInf}, s, 0), Error);
    EXPECT_THROW(sample(std::vector<float>{kInf, kInf}, s, 0), Error);
    EXPECT_THROW(sample(std::vector<float>{1, kInf, 2}, s, 0), Error) << "an overflow is no preference";
    EXPECT_THROW(sample(std::vector<float>{}, s, 0), Error);
  }
}

TEST(sampler, refuses_options_out_of_range_by_name) {
  const auto message = [](const Sampling& s) -> std::string {
    try {
      check_sampling(s);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(message({}), "");
  EXPECT_EQ(message({.temperature = 0, .top_k = 0, .top_p = 1, .min_p = 1}), "");
  for (const double bad : {-0.1, double(NAN), double(INFINITY), 1e9}) {
    EXPECT_NE(message({.temperature = bad}).find("--temperature"), std::string::npos) << bad;
    EXPECT_NE(message({.top_p = bad}).find("--top-p"), std::string::npos) << bad;
    EXPECT_NE(message({.min_p = bad}).find("--min-p"), std::string::npos) << bad;
  }
  EXPECT_NE(message({.top_p = 0}).find("--top-p"), std::string::npos);
  EXPECT_NE(message({.top_k = -1}).find("--top-k"), std::string::npos);
}

TEST(probabilities, are_those_of_the_whole_distribution) {
  const std::vector<float> logits = {std::log(1.0f), std::log(2.0f), std::log(5.0f), std::log(2.0f), -kInf};
  EXPECT_NEAR(log_probability(logits, 2), std::log(0.5), 1e-7);
  EXPECT_EQ(log_probability(logits, 4), -INFINITY);
  const std::vector<TokenProbability> top = top_probabilities(logits, 3);
  ASSERT_EQ(top.size(), 3u);
  EXPECT_EQ(top[0].id, 2);
  EXPECT_EQ(top[1].id, 1) << "ties to the lower id";
  EXPECT_EQ(top[2].id, 3);
  EXPECT_NEAR(top[1].logprob, std::log(0.2), 1e-7);
  EXPECT_EQ(top_probabilities(logits, 0).size(), 0u);
  EXPECT_EQ(top_probabilities(logits, 100).size(), 5u);
  const std::vector<float> large = {1000, 1000, -1000};  // no overflow
  EXPECT_NEAR(log_probability(large, 0), -std::log(2.0), 1e-12);
}

}  // namespace
}  // namespace nemotron
