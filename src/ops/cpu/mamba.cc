// The causal convolution and the Mamba-2 recurrence: head by head, the state staying in the first-level cache.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/mamba.cc"
#include <hwy/foreach_target.h>
//
#include <algorithm>
#include <array>
#include <cstring>

#include "base/philox.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nemotron::HWY_NAMESPACE {
namespace {

// Channels c0 .. c0+16 of one segment, `count` of them real. The window holds the last K-1 rows and the present one.
void conv16(Rows x, const Vector& taps, const Vector& bias, const Segment& seg, Rows tail, Rows y, index c0,
            index count) {
  const index K = tail.rows + 1;
  const auto fetch = [&](const float* row, Sums& v) HWY_ATTR {
    float padded[16] = {};
    std::copy_n(row + c0, count, padded);
    load(padded, v);
  };
  const auto keep = [&](const Sums& v, float* row) HWY_ATTR {
    float padded[16];
    store(v, padded);
    std::copy_n(padded, count, row + c0);
  };
  Sums tap[4], window[4], start;
  float column[16] = {};
  for (index j = 0; j < K; ++j) {
    for (index c = 0; c < count; ++c) column[c] = taps[size_t((c0 + c) * K + j)];
    load(column, tap[j]);
  }
  for (index c = 0; c < count; ++c) column[c] = bias.empty() ? 0.0f : bias[size_t(c0 + c)];
  load(column, start);
  for (index i = 0; i < K - 1; ++i) fetch(tail.row<float>(i), window[i]);
  for (index t = seg.begin; t < seg.end; ++t) {
    fetch(x.row<float>(t), window[K - 1]);
    Sums sum = start;
    for (index j = 0; j < K; ++j)
      for (int i = 0; i < kRegs; ++i) sum.r[i] = fma(tap[j].r[i], window[j].r[i], sum.r[i]);
    for (int i = 0; i < kRegs; ++i) sum.r[i] = silu(sum.r[i]);
    keep(sum, y.row<float>(t));
    for (index j = 0; j + 1 < K; ++j) window[j] = window[j + 1];
  }
  for (index i = 0; i < K - 1; ++i) keep(window[i], tail.row<float>(i));
}

// What one head needs of its model and batch; rows are those of the segment.
struct Head {
  Rows x;                     // [T, head_dim]
  Rows B, C;                  // [T, padded state], zeros beyond the state size
  const float *step, *decay;  // [T], stride `heads`
  index heads, state, padded;
  float D;
  Rows y;  // [T, head_dim]
};

// S = decay S + step x[p] B, y[p] = S . C + D x[p], for every row p of the state.
void advance(const Head& head, index t, float* S) {
  const D d;
  const float *B = head.B.row<float>(t), *C = head.C.row<float>(t), *x = head.x.row<float>(t);
  const V decay = hn::Set(d, head.decay[t * head.heads]);
  const float step = head.step[t * head.heads];
  float* y = head.y.row<float>(t);
  for (index p = 0; p < head.x.cols; ++p) {
    const V scaled = hn::Set(d, step * x[p]);
    float* row = S + p * head.padded;
    Sums sum;
    clear(sum);
    for (index n = 0; n < head.padded; n += 16) {
      for (int i = 0; i < kRegs; ++i) {
        const index k = n + i * kWidth;
        const V s = fma(decay, hn::LoadU(d, row + k), hn::Mul(scaled, hn::LoadU(d, B + k)));
        hn::StoreU(s, d, row + k);
        sum.r[i] = fma(s, hn::LoadU(d, C + k), sum.r[i]);
      }
    }
    y[p] = total(sum) + head.D * x[p];
  }
}

// Rounds head h's state to FP16 values, as it is stored after the token at `position`.
void round_state(const SsmState& state, const Head& head, index h, index position, float* S) {
  for (index p = 0; p < head.x.cols; ++p) {
    std::array<uint32_t, 4> noise{};
    for (index n = 0; n < head.state; ++n) {
      const auto element = uint32_t((h * head.x.cols + p) * head.state + n);
      if (n == 0 || element % 4 == 0) noise = state_noise(state.seed, state.layer, uint64_t(position), element / 4);
      float& v = S[p * head.padded + n];
      v = F16::decode(f16_stochastic(v, noise[element % 4]));
    }
  }
}

void scan_head(const Head& head, const SsmState& state, index h, float* room) {
  const index size = head.x.cols * head.padded;
  if (state.format == SsmFormat::real) {
    float* S = reinterpret_cast<float*>(state.data) + h * size;
    for (index t = 0; t < head.x.rows; ++t) advance(head, t, S);
    return;
  }
  auto* codes = reinterpret_cast<F16::Code*>(state.data) + h * size;
  for (index i = 0; i < size; ++i) room[i] = F16::decode(codes[i]);
  for (index t = 0; t < head.x.rows; ++t) {
    advance(head, t, room);
    round_state(state, head, h, state.position + t, room);
  }
  for (index i = 0; i < size; ++i) codes[i] = F16::encode(room[i]);  // exact: already rounded
}

}  // namespace

void causal_conv_op(Threads& threads, Rows x, const Vector& taps, const Vector& bias, std::span<const Segment> segments,
                    std::span<const Rows> tails, Rows y) {
  const index blocks = (x.cols + 15) / 16;
  const index work = std::max<index>(1, x.rows * 16);
  threads.parallel(blocks * index(segments.size()), std::max<index>(1, 16384 / work), [&](index begin, index end, int) {
    for (index b = begin; b < end; ++b) {
      const auto s = size_t(b / blocks);
      const index c0 = b % blocks * 16;
      conv16(x, taps, bias, segments[s], tails[s], y, c0, std::min<index>(16, x.cols - c0));
    }
  });
}

void ssm_scan_op(Threads& threads, Arena& arena, const ScanShape& shape, Rows xbc, Rows dt, const Vector& A_log,
                 const Vector& D_, const Vector& dt_bias, double dt_min, std::span<const Segment> segments,
                 std::span<const SsmState> states, Rows y) {
  const Scratch scratch(arena);
  const index T = xbc.rows, heads = shape.heads, P = shape.head_dim, N = shape.state_size, G = shape.groups;
  const index padded = round_up(N, kLanes), inner = heads * P;
  // step = max(softplus(dt + bias), dt_min) and decay = exp(-exp(A_log) step) of every row and head.
  const Rows step = arena.rows(Real::f32, T, heads), decay = arena.rows(Real::f32, T, heads);
  auto* A = arena.array<float>(size_t(heads));
  transform(
      heads, A, [](V v) HWY_ATTR { return hn::Neg(exp(v)); }, A_log.data());
  const V least = hn::Set(D(), float(dt_min));
  // B and C with rows of whole sixteens: in place where they are that already.
  const bool in_place = padded == N;
  const Rows BC = in_place ? xbc.col_range(inner, inner + 2 * G * N) : arena.rows(Real::f32, T, 2 * G * padded);
  threads.parallel(T, 16, [&](index begin, index end, int) {
    for (index t = begin; t < end; ++t) {
      float *s = step.row<float>(t), *e = decay.row<float>(t);
      const auto soft = [&](V v, V b) HWY_ATTR { return hn::Max(softplus(hn::Add(v, b)), least); };
      transform(heads, s, soft, dt.row<float>(t), dt_bias.data());
      transform(
          heads, e, [](V v, V a) HWY_ATTR { return exp(hn::Mul(v, a)); }, s, A);
      if (in_place) continue;
      for (index g = 0; g < 2 * G; ++g) {
        float* out = BC.row<float>(t) + g * padded;
        std::fill_n(out, padded, 0.0f);
        std::copy_n(xbc.row<float>(t) + inner + g * N, N, out);
      }
    }
  });
  auto* rooms = arena.array<float>(size_t(P * padded * threads.count()));
  threads.parallel(heads * index(segments.size()), 1, [&](index begin, index end, int thread) {
    for (index i = begin; i < end; ++i) {
      const auto s = size_t(i / heads);
      const index h = i % heads, g = h / (heads / G);
      const Segment& seg = segments[s];
      const auto part = [&](Rows r, index first, index count) {
        return r.row_range(seg.begin, seg.end).col_range(first, first + count);
      };
      const Head head = {.x = part(xbc, h * P, P),
                         .B = part(BC, g * padded, padded),
                         .C = part(BC, (G + g) * padded, padded),
                         .step = step.row<float>(seg.begin) + h,
                         .decay = decay.row<float>(seg.begin) + h,
                         .heads = heads,
                         .state = N,
                         .padded = padded,
                         .D = D_[size_t(h)],
                         .y = part(y, h * P, P)};
      scan_head(head, states[s], h, rooms + thread * P * padded);
    }
  });
}

}  // namespace nemotron::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nemotron {
HWY_EXPORT(causal_conv_op);
HWY_EXPORT(ssm_scan_op);

namespace cpu {
void causal_conv(Threads& threads, Rows x, const Vector& taps, const Vector& bias, std::span<const Segment> segments,
                 std::span<const Rows> tails, Rows y) {
  HWY_DYNAMIC_DISPATCH(causal_conv_op)(threads, x, taps, bias, segments, tails, y);
}
void ssm_scan(Threads& threads, Arena& arena, const ScanShape& shape, Rows xbc, Rows dt, const Vector& A_log,
              const Vector& D, const Vector& dt_bias, double dt_min, std::span<const Segment> segments,
              std::span<const SsmState> states, Rows y) {
  HWY_DYNAMIC_DISPATCH(ssm_scan_op)(threads, arena, shape, xbc, dt, A_log, D, dt_bias, dt_min, segments, states, y);
}
}  // namespace cpu
}  // namespace nemotron
#endif
