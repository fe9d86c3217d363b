// Ops that handle each row by itself: embedding, norms, sums, squared ReLU.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/pointwise.cc"
#include <hwy/foreach_target.h>
//
#include <cmath>

#include "ops/cpu/kernels.h"
#include "ops/cpu/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nemotron::HWY_NAMESPACE {
namespace {

// Rows a piece of work covers, so that it outweighs handing it out.
index grain(index cols) { return std::max<index>(1, 16384 / std::max<index>(cols, 1)); }

template <class Body>
void for_rows(Threads& threads, Rows like, const Body& body) {
  threads.parallel(like.rows, grain(like.cols), [&](index begin, index end, int) {
    for (index t = begin; t < end; ++t) body(t);
  });
}

// x *= 1 / sqrt(mean(x^2) + eps) * weight in place over each group; the mean has the order of a dot product.
void norm_row(float* x, const float* weight, index cols, index groups, float eps) {
  const D d;
  const index width = cols / groups;
  for (index g = 0; g < groups; ++g) {
    float* u = x + g * width;
    Sums sum;
    clear(sum);
    each16(u, width, [&](const Sums& v) HWY_ATTR {
      for (int i = 0; i < kRegs; ++i) sum.r[i] = fma(v.r[i], v.r[i], sum.r[i]);
    });
    const V scale = hn::Set(d, 1.0f / std::sqrt(total(sum) / float(width) + eps));
    transform(
        width, u, [&](V a, V w) HWY_ATTR { return hn::Mul(hn::Mul(a, scale), w); }, u, weight + g * width);
  }
}

}  // namespace

void embed_op(Threads& threads, const Matrix& table, std::span<const int32_t> ids, Rows y) {
  for_rows(threads, y, [&](index t) {
    float* row = y.row<float>(t);
    decode_row(table, ids[size_t(t)], 0, table.cols, row);
    const V scale = hn::Set(D(), table.scale);
    transform(
        table.cols, row, [&](V v) HWY_ATTR { return hn::Mul(v, scale); }, row);
  });
}

void rms_norm_op(Threads& threads, Rows x, const Vector& weight, index groups, double eps, Rows y) {
  for_rows(threads, x, [&](index t) {
    std::copy_n(x.row<float>(t), x.cols, y.row<float>(t));
    norm_row(y.row<float>(t), weight.data(), x.cols, groups, float(eps));
  });
}

void gated_rms_norm_op(Threads& threads, Rows x, Rows gate, const Vector& weight, index groups, double eps, Rows y) {
  for_rows(threads, x, [&](index t) {
    const auto gated = [](V v, V z) HWY_ATTR { return hn::Mul(v, silu(z)); };
    transform(x.cols, y.row<float>(t), gated, x.row<float>(t), gate.row<float>(t));
    norm_row(y.row<float>(t), weight.data(), x.cols, groups, float(eps));
  });
}

void add_op(Threads& threads, Rows x, Rows y) {
  for_rows(threads, x, [&](index t) {
    transform(
        x.cols, y.row<float>(t), [](V a, V b) HWY_ATTR { return hn::Add(a, b); }, x.row<float>(t), y.row<float>(t));
  });
}

void relu2_op(Threads& threads, Rows x) {
  for_rows(threads, x, [&](index t) {
    const auto f = [](V v) HWY_ATTR {
      const V zero = hn::Zero(D());  // times zero, not zero: a NaN stays a NaN
      return hn::Mul(v, hn::IfThenElse(hn::Gt(v, zero), v, zero));
    };
    transform(x.cols, x.row<float>(t), f, x.row<float>(t));
  });
}

}  // namespace nemotron::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nemotron {
HWY_EXPORT(embed_op);
HWY_EXPORT(rms_norm_op);
HWY_EXPORT(gated_rms_norm_op);
HWY_EXPORT(add_op);
HWY_EXPORT(relu2_op);

namespace cpu {
void embed(Threads& threads, const Matrix& table, std::span<const int32_t> ids, Rows y) {
  HWY_DYNAMIC_DISPATCH(embed_op)(threads, table, ids, y);
}
void rms_norm(Threads& threads, Rows x, const Vector& weight, index groups, double eps, Rows y) {
  HWY_DYNAMIC_DISPATCH(rms_norm_op)(threads, x, weight, groups, eps, y);
}
void gated_rms_norm(Threads& threads, Rows x, Rows gate, const Vector& weight, index groups, double eps, Rows y) {
  HWY_DYNAMIC_DISPATCH(gated_rms_norm_op)(threads, x, gate, weight, groups, eps, y);
}
void add(Threads& threads, Rows x, Rows y) { HWY_DYNAMIC_DISPATCH(add_op)(threads, x, y); }
void relu2(Threads& threads, Rows x) { HWY_DYNAMIC_DISPATCH(relu2_op)(threads, x); }
}  // namespace cpu
}  // namespace nemotron
#endif
