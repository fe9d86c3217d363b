// Routing and the meeting of expert outputs.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/moe.cc"
#include <hwy/foreach_target.h>
//
#include <algorithm>
#include <bit>
#include <limits>
#include <utility>
#include <vector>

#include "ops/cpu/kernels.h"
#include "ops/cpu/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nemotron::HWY_NAMESPACE {
namespace {

constexpr float kOut = -std::numeric_limits<float>::infinity();

// Leaves only the best groups' choices; a group's score is the sum of its two best. `score` has room for the groups.
void keep_best_groups(const RouteShape& shape, float* choice, float* score) {
  const index width = shape.experts / shape.groups;
  for (index g = 0; g < shape.groups; ++g) {
    float best = kOut, second = kOut;
    for (const float c : std::span(choice + g * width, size_t(width))) {
      if (c > best)
        second = std::exchange(best, c);
      else
        second = std::max(second, c);
    }
    score[g] = width > 1 ? best + second : best;
  }
  // A group stays when fewer than kept_groups are better: of a higher score, or of the same and a lower number.
  for (index g = 0; g < shape.groups; ++g) {
    index better = 0;
    for (index o = 0; o < shape.groups; ++o) better += score[o] > score[g] || (score[o] == score[g] && o < g);
    if (better >= shape.kept_groups) std::fill_n(choice + g * width, width, kOut);
  }
}

// Integers in the order of the floats, without NaN; zeros of both signs are one. kTaken is below all of them.
constexpr int32_t kTaken = std::numeric_limits<int32_t>::min();

int32_t sortable(float x) {
  const auto bits = std::bit_cast<int32_t>(x + 0.0f);
  return bits >= 0 ? bits : bits ^ 0x7FFFFFFF;
}

// The number of the largest key, the lowest of equals, by way of the largest of each block of sixteen.
index take_largest(int32_t* keys, int32_t* largest, index blocks) {
  const index block = std::max_element(largest, largest + blocks) - largest;
  int32_t* first = keys + block * 16;
  const index at = std::find(first, first + 16, largest[block]) - first;
  first[at] = kTaken;
  largest[block] = *std::max_element(first, first + 16);
  return block * 16 + at;
}

// `room` has room for four lists of the experts in whole sixteens.
void route_row(const RouteShape& shape, const float* logits, const float* bias, int32_t* expert, float* weight,
               float* room) {
  const index padded = round_up(shape.experts, 16), blocks = padded / 16;
  float *score = room, *choice = score + padded;
  auto *keys = reinterpret_cast<int32_t*>(choice + padded), *largest = keys + padded;
  transform(
      shape.experts, score, [](V v) HWY_ATTR { return sigmoid(v); }, logits);
  for (index e = 0; e < shape.experts; ++e) {
    choice[e] = score[e] + bias[e];
    if (!(choice[e] > kOut)) choice[e] = kOut;  // a NaN has no place in an order
  }
  if (shape.groups > 1) keep_best_groups(shape, choice, reinterpret_cast<float*>(largest));
  for (index e = 0; e < padded; ++e) keys[e] = e < shape.experts ? sortable(choice[e]) : kTaken;
  for (index b = 0; b < blocks; ++b) largest[b] = *std::max_element(keys + b * 16, keys + b * 16 + 16);
  for (index j = 0; j < shape.picks; ++j) expert[j] = int32_t(take_largest(keys, largest, blocks));
  std::sort(expert, expert + shape.picks);
  float sum = 0;
  for (index j = 0; j < shape.picks; ++j) sum += score[expert[j]];
  for (index j = 0; j < shape.picks; ++j) {
    const float s = score[expert[j]];
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
  const index grain = std::max<index>(1, 16384 / shape.experts);
  threads.parallel(logits.rows, grain, [&](index begin, index end, int) {
    const index padded = round_up(shape.experts, 16);
    std::vector<float> room(size_t(4 * padded));
    for (index t = begin; t < end; ++t)
      route_row(shape, logits.row<float>(t), bias.data(), routes.expert.data() + t * shape.picks,
                routes.weight.row<float>(t), room.data());
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
