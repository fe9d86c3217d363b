// Sampling: rank what the filters may keep, then walk the cumulative distribution to one uniform number.

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

// Token ids, best first, ties to the lower id; sorted only as far as somebody asks, for a vocabulary is long and the
// tokens that matter are few.
class Ranking {
 public:
  explicit Ranking(std::span<const float> logits) : logits_(logits), ids_(logits.size()) {
    std::iota(ids_.begin(), ids_.end(), 0);
  }

  int32_t operator[](size_t rank) {
    if (rank >= sorted_) sort(std::max<size_t>(rank + 1, 8 * sorted_));
    return ids_[rank];
  }
  // The first `count` ids, or all.
  std::span<const int32_t> first(size_t count) {
    count = std::min(count, ids_.size());
    if (count > sorted_) sort(count);
    return std::span(ids_).first(count);
  }
  size_t size() const { return ids_.size(); }

 private:
  void sort(size_t count) {
    count = std::min(std::max<size_t>(count, 64), ids_.size());
    const auto at = [&](size_t n) { return ids_.begin() + std::ptrdiff_t(n); };
    std::partial_sort(at(sorted_), at(count), ids_.end(), [&](int32_t a, int32_t b) {
      const float x = logits_[size_t(a)], y = logits_[size_t(b)];
      return x != y ? x > y : a < b;
    });
    sorted_ = count;
  }

  std::span<const float> logits_;
  std::vector<int32_t> ids_;
  size_t sorted_ = 0;
};

double log_sum_exp(std::span<const float> logits) {
  const double most = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float v : logits) sum += std::exp(double(v) - most);
  return most + std::log(sum);
}

}  // namespace

void check_option(const char* name, double value, double low, double high, const char* expected) {
  if (!(value >= low && value <= high))
    throw Error(
        {.what = "option out of range", .where = name, .expected = expected, .found = fmt::format("{}", value)});
}

void check_sampling(const Sampling& s) {
  check_option("--temperature", s.temperature, 0, 1000, "0 (greedy) to 1000");
  check_option("--top-k", double(s.top_k), 0, 1e9, "0 (all) or more");
  check_option("--top-p", s.top_p, 1e-9, 1, "more than 0, at most 1");
  check_option("--min-p", s.min_p, 0, 1, "0 to 1");
}

int32_t sample(std::span<const float> logits, const Sampling& s, uint64_t position) {
  check_logits(logits);
  const auto likeliest = std::max_element(logits.begin(), logits.end());  // the first of equals
  if (s.temperature == 0) return int32_t(likeliest - logits.begin());
  std::vector<double> p(logits.size());  // relative to the most likely token
  for (size_t i = 0; i < p.size(); ++i) p[i] = std::exp((double(logits[i]) - *likeliest) / s.temperature);

  Ranking ranking(logits);
  size_t kept = s.top_k > 0 ? std::min(size_t(s.top_k), ranking.size()) : ranking.size();
  const auto best_sum = [&](size_t count) {
    double sum = 0;
    for (const int32_t id : ranking.first(count)) sum += p[size_t(id)];
    return sum;
  };
  // Without top-k the sum of all needs no order; that of the best is taken from the best down.
  double total = s.top_k > 0 ? best_sum(kept) : std::accumulate(p.begin(), p.end(), 0.0);
  if (s.top_p < 1) {
    size_t count = 0;
    for (double sum = 0; count < kept && sum < s.top_p * total; ++count) sum += p[size_t(ranking[count])];
    kept = count;
  }
  if (s.min_p > 0) {
    size_t count = 0;
    while (count < kept && p[size_t(ranking[count])] >= s.min_p) ++count;
    kept = count;
  }
  kept = std::max<size_t>(kept, 1);
  if (s.top_p < 1 || s.min_p > 0) total = best_sum(kept);

  const double target = uniform(s.seed, position) * total;
  double sum = 0;
  for (size_t rank = 0; rank < kept; ++rank) {
    sum += p[size_t(ranking[rank])];
    if (target < sum) return ranking[rank];
  }
  return ranking[kept - 1];  // the sum fell short of the total by rounding
}

double log_probability(std::span<const float> logits, int32_t id) {
  return double(logits[size_t(id)]) - log_sum_exp(logits);
}

std::vector<TokenProbability> top_probabilities(std::span<const float> logits, index k) {
  const double total = log_sum_exp(logits);
  std::vector<TokenProbability> out;
  Ranking ranking(logits);
  for (const int32_t id : ranking.first(size_t(std::max<index>(k, 0))))
    out.push_back({id, double(logits[size_t(id)]) - total});
  return out;
}

}  // namespace nemotron
