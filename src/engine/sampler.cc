// Sampling: sort what the filters keep, then walk the cumulative distribution to one uniform number.

#include "engine/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/philox.h"

namespace nemotron {
namespace {

constexpr uint32_t kDomain = 0x53414d50;  // "SAMP": keeps these draws apart from those of a Mamba state

// Uniform in [0, 1), 32 bits: finer than any probability that matters among at most 2^20 tokens.
double uniform(uint64_t seed, uint64_t position) {
  const auto words =
      philox4x32({uint32_t(position), uint32_t(position >> 32), kDomain, 0}, {uint32_t(seed), uint32_t(seed >> 32)});
  return (double(words[0]) + double(words[1]) * 0x1p-32) * 0x1p-32;
}

void check_logits(std::span<const float> logits) {
  bool any = false;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i]) || logits[i] == INFINITY)
      throw Error({.what = "a logit is not a number or infinite",
                   .where = "token " + std::to_string(i),
                   .hint = "the weights are damaged or overflow in this format"});
    any = any || std::isfinite(logits[i]);
  }
  if (!any) throw Error({.what = "no logit is finite", .hint = "the weights are damaged or overflow in this format"});
}

// The ids of the most likely `count` tokens, best first.
std::vector<int32_t> best(std::span<const float> logits, size_t count) {
  std::vector<int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto better = [&](int32_t a, int32_t b) {
    const float x = logits[size_t(a)], y = logits[size_t(b)];
    return x != y ? x > y : a < b;
  };
  count = std::min(count, ids.size());
  std::partial_sort(ids.begin(), ids.begin() + std::ptrdiff_t(count), ids.end(), better);
  ids.resize(count);
  return ids;
}

double log_sum_exp(std::span<const float> logits) {
  const double most = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float v : logits) sum += std::exp(double(v) - most);
  return most + std::log(sum);
}

}  // namespace

void check_sampling(const Sampling& s) {
  const auto check = [](const char* name, double value, double low, double high, const char* expected) {
    if (!(value >= low && value <= high))
      throw Error(
          {.what = "option out of range", .where = name, .expected = expected, .found = fmt::format("{}", value)});
  };
  check("--temperature", s.temperature, 0, 1000, "0 (greedy) to 1000");
  check("--top-k", double(s.top_k), 0, 1e9, "0 (all) or more");
  check("--top-p", s.top_p, 1e-9, 1, "more than 0, at most 1");
  check("--min-p", s.min_p, 0, 1, "0 to 1");
}

int32_t sample(std::span<const float> logits, const Sampling& s, uint64_t position) {
  check_logits(logits);
  if (s.temperature == 0) return best(logits, 1)[0];
  const std::vector<int32_t> ids = best(logits, s.top_k > 0 ? size_t(s.top_k) : logits.size());
  std::vector<double> p(ids.size());
  const double most = logits[size_t(ids[0])];
  for (size_t i = 0; i < ids.size(); ++i) p[i] = std::exp((double(logits[size_t(ids[i])]) - most) / s.temperature);
  size_t kept = p.size();
  if (s.top_p < 1) {
    const double enough = s.top_p * std::accumulate(p.begin(), p.end(), 0.0);
    double sum = 0;
    for (kept = 0; kept < p.size() && sum < enough; ++kept) sum += p[kept];
  }
  while (kept > 1 && p[kept - 1] < s.min_p * p[0]) --kept;
  kept = std::max<size_t>(kept, 1);
  const double target = uniform(s.seed, position) * std::accumulate(p.begin(), p.begin() + std::ptrdiff_t(kept), 0.0);
  double sum = 0;
  for (size_t i = 0; i < kept; ++i) {
    sum += p[i];
    if (target < sum) return ids[i];
  }
  return ids[kept - 1];  // the last sum fell short of the total by rounding
}

double log_probability(std::span<const float> logits, int32_t id) {
  return double(logits[size_t(id)]) - log_sum_exp(logits);
}

std::vector<TokenProbability> top_probabilities(std::span<const float> logits, index k) {
  const double total = log_sum_exp(logits);
  std::vector<TokenProbability> out;
  for (const int32_t id : best(logits, size_t(std::max<index>(k, 0))))
    out.push_back({id, double(logits[size_t(id)]) - total});
  return out;
}

}  // namespace nemotron
