// Routing and the meeting of expert outputs.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/moe.cc"
#include <hwy/foreach_target.h>
//
#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>
#include <utility>

#include "ops/cpu/kernels.h"
#include "ops/cpu/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nemotron::HWY_NAMESPACE {
namespace {

constexpr float kOut = -std::numeric_limits<float>::infinity();

// Leaves only the best groups' choices; a group's score is the sum of its two best.
void keep_best_groups(const RouteShape& shape, float* choice) {
  const index width = shape.experts / shape.groups;
  std::vector<float> score(size_t(shape.groups));
  for (index g = 0; g < shape.groups; ++g) {
    float best = kOut, second = kOut;
    for (const float c : std::span(choice + g * width, size_t(width))) {
      if (c > best)
        second = std::exchange(best, c);
      else
        second = std::max(second, c);
    }
    score[size_t(g)] = width > 1 ? best + second : best;
  }
  std::vector<index> order(score.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](index a, index b) { return score[size_t(a)] > score[size_t(b)]; });
  for (size_t i = size_t(shape.kept_groups); i < order.size(); ++i) std::fill_n(choice + order[i] * width, width, kOut);
}

void route_row(const RouteShape& shape, const float* logits, const float* bias, int32_t* expert, float* weight) {
  std::vector<float> score(size_t(shape.experts)), choice(score.size());
  transform(
      shape.experts, score.data(), [](V v) HWY_ATTR { return sigmoid(v); }, logits);
  for (size_t e = 0; e < score.size(); ++e) {
    choice[e] = score[e] + bias[e];
    if (!(choice[e] > kOut)) choice[e] = kOut;  // a NaN would break the order below
  }
  if (shape.groups > 1) keep_best_groups(shape, choice.data());
  std::vector<int32_t> order(score.size());
  std::iota(order.begin(), order.end(), 0);
  const auto better = [&](int32_t a, int32_t b) {
    return choice[size_t(a)] != choice[size_t(b)] ? choice[size_t(a)] > choice[size_t(b)] : a < b;
  };
  std::nth_element(order.begin(), order.begin() + (shape.picks - 1), order.end(), better);
  std::sort(order.begin(), order.begin() + shape.picks);
  float sum = 0;
  for (index j = 0; j < shape.picks; ++j) sum += score[size_t(order[size_t(j)])];
  for (index j = 0; j < shape.picks; ++j) {
    expert[j] = order[size_t(j)];
    const float s = score[size_t(expert[j])];
    weight[j] = (shape.renormalize ? s / (sum + 1e-20f) : s) * float(shape.scale);
  }
}

// sum[0..n) = the picks [first, last) of one token, all below one node of the binary tree over expert numbers: those
// with a clear `bit` on the left, those with it set on the right. `spare` has room for one row a level.
void tree(const int32_t* expert, const float* weight, const float* const* x, index first, index last, uint32_t bit,
          index n, float* sum, float* spare) {
  if (last - first == 1) {
    const V w = hn::Set(D(), weight[first]);
    return transform(
        n, sum, [&](V v) HWY_ATTR { return hn::Mul(v, w); }, x[first]);
  }
  index middle = first;
  while (middle < last && !(uint32_t(expert[middle]) & bit)) ++middle;
  if (middle == first || middle == last) return tree(expert, weight, x, first, last, bit >> 1, n, sum, spare);
  tree(expert, weight, x, first, middle, bit >> 1, n, sum, spare);
  tree(expert, weight, x, middle, last, bit >> 1, n, spare, spare + n);
  transform(
      n, sum, [](V a, V b) HWY_ATTR { return hn::Add(a, b); }, sum, spare);
}

}  // namespace

void route_op(Threads& threads, const RouteShape& shape, Rows logits, const Vector& bias, Routes routes) {
  threads.parallel(logits.rows, 8, [&](index begin, index end, int) {
    for (index t = begin; t < end; ++t)
      route_row(shape, logits.row<float>(t), bias.data(), routes.expert.data() + t * shape.picks,
                routes.weight.row<float>(t));
  });
}

void combine_op(Threads& threads, index experts, const Routes& routes, std::span<const index> rows, Rows x, Rows y) {
  const index picks = routes.weight.cols;
  const uint32_t top = std::bit_ceil(uint32_t(std::max<index>(experts, 2))) / 2;
  threads.parallel(y.rows, std::max<index>(1, 16384 / (picks * y.cols)), [&](index begin, index end, int) {
    std::vector<float> spare(size_t(std::bit_width(top) * y.cols));
    std::vector<const float*> source(static_cast<size_t>(picks));
    for (index t = begin; t < end; ++t) {
      for (index j = 0; j < picks; ++j) source[size_t(j)] = x.row<float>(rows[size_t(t * picks + j)]);
      tree(routes.expert.data() + t * picks, routes.weight.row<float>(t), source.data(), 0, picks, top, y.cols,
           y.row<float>(t), spare.data());
    }
  });
}

void gather_op(Threads& threads, std::span<const index> rows, Rows x, Rows y) {
  threads.parallel(y.rows, std::max<index>(1, 16384 / y.cols), [&](index begin, index end, int) {
    for (index t = begin; t < end; ++t) std::copy_n(x.row<float>(rows[size_t(t)]), x.cols, y.row<float>(t));
  });
}

}  // namespace nemotron::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nemotron {
HWY_EXPORT(route_op);
HWY_EXPORT(combine_op);
HWY_EXPORT(gather_op);

namespace cpu {
void route(Threads& threads, const RouteShape& shape, Rows logits, const Vector& bias, Routes routes) {
  HWY_DYNAMIC_DISPATCH(route_op)(threads, shape, logits, bias, routes);
}
void combine(Threads& threads, index experts, const Routes& routes, std::span<const index> rows, Rows x, Rows y) {
  HWY_DYNAMIC_DISPATCH(combine_op)(threads, experts, routes, rows, x, y);
}
void gather(Threads& threads, std::span<const index> rows, Rows x, Rows y) {
  HWY_DYNAMIC_DISPATCH(gather_op)(threads, rows, x, y);
}
}  // namespace cpu
}  // namespace nemotron
#endif
