// The causal convolution and the Mamba-2 recurrence: head by head, the state staying in the first-level cache.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/mamba.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/cache_control.h>

#include <algorithm>
#include <cmath>

#include "ops/cpu/half-inl.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nemotron::HWY_NAMESPACE {
namespace {

// ---- the convolution

// Channels that a piece of work covers: their taps stay in the first-level cache, and a row of them is a long run.
constexpr index kChannels = 256;
constexpr index kMostTaps = 4;
constexpr index kAhead = 4;  // rows; hardware does not follow jumps from row to row

// The taps and the bias of some channels, a row for each tap: [K, kChannels], [kChannels].
struct Taps {
  float tap[kMostTaps][kChannels], start[kChannels];

  Taps(const Vector& taps, const Vector& bias, index K, index first, index count) {
    const D d;
    const float* from = taps.data() + first * K;
    index c = 0;
    if (K == 4) {
      for (; c + kWidth <= count; c += kWidth) {
        V t0, t1, t2, t3;
        hn::LoadInterleaved4(d, from + c * 4, t0, t1, t2, t3);
        hn::StoreU(t0, d, tap[0] + c), hn::StoreU(t1, d, tap[1] + c);
        hn::StoreU(t2, d, tap[2] + c), hn::StoreU(t3, d, tap[3] + c);
      }
    }
    for (; c < count; ++c)
      for (index j = 0; j < K; ++j) tap[j][c] = from[c * K + j];
    if (bias.empty())
      std::fill_n(start, count, 0.0f);
    else
      std::copy_n(bias.data() + first, count, start);
  }
};

// Channels first .. first+count of one segment.
void convolve(Rows x, const Vector& all_taps, const Vector& bias, const Segment& seg, Rows tail, Rows y, index first,
              index count) {
  const D d;
  const index K = tail.rows + 1;
  const Taps taps(all_taps, bias, K, first, count);
  // Row i of the segment; before it the tail.
  const auto row = [&](index i) { return (i < 0 ? tail.row<float>(K - 1 + i) : x.row<float>(seg.begin + i)) + first; };
  for (index t = 0; t < seg.size(); ++t) {
    const float* window[kMostTaps];
    for (index j = 0; j < K; ++j) window[j] = row(t - (K - 1) + j);
    float* out = y.row<float>(seg.begin + t) + first;
    const float* ahead = row(std::min(t + kAhead, seg.size() - 1));
    index c = 0;
    for (; c + kWidth <= count; c += kWidth) {
      hwy::Prefetch(ahead + c);
      V sum = hn::LoadU(d, taps.start + c);
      for (index j = 0; j < K; ++j) sum = fma(hn::LoadU(d, taps.tap[j] + c), hn::LoadU(d, window[j] + c), sum);
      hn::StoreU(silu(sum), d, out + c);
    }
    if (c == count) continue;
    float rest[16] = {};
    for (index i = 0; c + i < count; ++i) {
      rest[i] = taps.start[c + i];
      for (index j = 0; j < K; ++j) rest[i] = std::fma(taps.tap[j][c + i], window[j][c + i], rest[i]);
    }
    transform(
        count - c, out + c, [](V v) HWY_ATTR { return silu(v); }, rest);
  }
  for (index i = 0; i < K - 1; ++i) std::copy_n(row(seg.size() - (K - 1) + i), count, tail.row<float>(i) + first);
}

// ---- the recurrence

// What one head needs of its model and batch; rows are those of the segment.
struct Head {
  Rows x;                     // [T, head_dim]
  Rows B, C;                  // [T, state]
  const float *step, *decay;  // [T], stride `heads`
  index heads, state, padded;
  float D;
  Rows y;  // [T, head_dim]
};

// Some tokens that are walked together while a row of the state is in registers: as many as one tree adds up.
constexpr int kTokens = 4;

struct Tokens {
  float *B, *C;  // [kTokens, padded], zeros beyond the state size
  float step[kTokens], decay[kTokens];

  static index floats(index padded) { return 2 * kTokens * padded; }
  void load(const Head& head, index first, index count) {
    for (index t = 0; t < count; ++t) {
      step[t] = head.step[(first + t) * head.heads], decay[t] = head.decay[(first + t) * head.heads];
      const auto copy = [&](const float* from, float* to) {
        std::copy_n(from, head.state, to);
        std::fill_n(to + head.state, head.padded - head.state, 0.0f);
      };
      copy(head.B.row<float>(first + t), B + t * head.padded);
      copy(head.C.row<float>(first + t), C + t * head.padded);
    }
  }
};

// S = decay S + step x[p] B, y[p] = S . C + D x[p], for rows p .. p+rows of the state and `tokens` tokens from t on.
// A row goes through `round` after each token, which y does not see.
template <int rows, int tokens, class Round>
HWY_INLINE void advance(const Head& head, const Tokens& now, index t, index p, float* S, const Round& round) {
  constexpr int kSums = rows * tokens;
  const D d;
  const auto row_of = [](int sum) { return sum / tokens; };
  const auto token_of = [](int sum) { return sum % tokens; };
  Sums sum[kSums];
  V decay[tokens], scaled[kSums];
  float x[kSums];
  for (int k = 0; k < tokens; ++k) decay[k] = hn::Set(d, now.decay[k]);
  for (int i = 0; i < kSums; ++i) {
    clear(sum[i]);
    x[i] = head.x.row<float>(t + token_of(i))[p + row_of(i)];
    scaled[i] = hn::Set(d, now.step[token_of(i)] * x[i]);
  }
  for (index n = 0; n < head.padded; n += 16) {
    for (int i = 0; i < kRegs; ++i) {
      const index column = n + i * kWidth;
      for (int r = 0; r < rows; ++r) {
        float* at = S + (p + r) * head.padded + column;
        V s = hn::LoadU(d, at);
        for (int k = 0; k < tokens; ++k) {
          const index place = k * head.padded + column;
          s = fma(decay[k], s, hn::Mul(scaled[r * tokens + k], hn::LoadU(d, now.B + place)));
          V& total = sum[r * tokens + k].r[i];
          total = fma(s, hn::LoadU(d, now.C + place), total);
        }
        hn::StoreU(round(s, r, column), d, at);
      }
    }
  }
  float totals[kSums];
  if constexpr (kSums % 4 == 0) {
    for (int i = 0; i < kSums; i += 4)
      hn::StoreU(total4(fold(sum[i]), fold(sum[i + 1]), fold(sum[i + 2]), fold(sum[i + 3])), D4(), totals + i);
  } else {
    for (int i = 0; i < kSums; ++i) totals[i] = total(sum[i]);
  }
  for (int i = 0; i < kSums; ++i) head.y.row<float>(t + token_of(i))[p + row_of(i)] = totals[i] + head.D * x[i];
}

// All rows of the state for the one token t; `prepare` readies the rounding of some rows.
template <class Prepare, class Round>
void advance_token(const Head& head, const Tokens& now, index t, float* S, const Prepare& prepare, const Round& round) {
  index p = 0;
  for (; p + 4 <= head.x.cols; p += 4) {
    prepare(t, p, 4);
    advance<4, 1>(head, now, t, p, S, round);
  }
  for (; p < head.x.cols; ++p) {
    prepare(t, p, 1);
    advance<1, 1>(head, now, t, p, S, round);
  }
}

void scan_real(const Head& head, Tokens& now, float* S) {
  const auto keep = [](V s, int, index) HWY_ATTR { return s; };
  index t = 0;
  for (; t + kTokens <= head.x.rows; t += kTokens) {
    now.load(head, t, kTokens);
    for (index p = 0; p < head.x.cols; ++p) advance<1, kTokens>(head, now, t, p, S, keep);
  }
  for (; t < head.x.rows; ++t) {
    now.load(head, t, 1);
    advance_token(
        head, now, t, S, [](index, index, int) {}, keep);
  }
}

// Scratch for FP16 states: the state as floats, and the noise of four rows.
struct HalfRoom {
  float* S;         // [head_dim, padded]
  uint32_t* noise;  // [4, noise_words]
  index noise_words;
  static index words(index padded) { return padded + 4 + 4 * 16; }  // a row may start within a quad
};

// Head h of a state in FP16, rounded after every token.
void scan_half(const Head& head, Tokens& now, const SsmState& state, index h, const HalfRoom& room) {
  const D d;
  const index size = head.x.cols * head.padded;
  auto* codes = reinterpret_cast<F16::Code*>(state.data) + h * size;
  for (index i = 0; i < size; i += kWidth) hn::StoreU(load_half(codes + i), d, room.S + i);
  const uint32_t* noise[4] = {};
  const auto prepare = [&](index t, index p, int rows) {
    for (int r = 0; r < rows; ++r) {
      const auto element = uint32_t((h * head.x.cols + p + r) * head.state);
      uint32_t* words = room.noise + r * room.noise_words;
      state_noises(state.seed, state.layer, uint64_t(state.position + t), element / 4, (head.state + 3 + 3) / 4, words);
      noise[r] = words + element % 4;
    }
  };
  const auto round = [&](V s, int r, index column)
                         HWY_ATTR { return round_to_half(s, hn::LoadU(D32(), noise[r] + column)); };
  for (index t = 0; t < head.x.rows; ++t) {
    now.load(head, t, 1);
    advance_token(head, now, t, room.S, prepare, round);
  }
  for (index i = 0; i < size; i += kWidth) store_half(hn::LoadU(d, room.S + i), codes + i);
}

}  // namespace

void causal_conv_op(Threads& threads, Rows x, const Vector& taps, const Vector& bias, std::span<const Segment> segments,
                    std::span<const Rows> tails, Rows y) {
  const index blocks = (x.cols + kChannels - 1) / kChannels;
  const index work = std::max<index>(1, x.rows * kChannels);
  const index grain = std::max<index>(1, 16384 * index(segments.size()) / work);
  threads.parallel(blocks * index(segments.size()), grain, [&](index begin, index end, int) {
    for (index b = begin; b < end; ++b) {
      const auto s = size_t(b / blocks);
      const index first = b % blocks * kChannels;
      convolve(x, taps, bias, segments[s], tails[s], y, first, std::min(kChannels, x.cols - first));
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
  threads.parallel(T, 16, [&](index begin, index end, int) {
    for (index t = begin; t < end; ++t) {
      float *s = step.row<float>(t), *e = decay.row<float>(t);
      const auto soft = [&](V v, V b) HWY_ATTR { return hn::Max(softplus(hn::Add(v, b)), least); };
      transform(heads, s, soft, dt.row<float>(t), dt_bias.data());
      transform(
          heads, e, [](V v, V a) HWY_ATTR { return exp(hn::Mul(v, a)); }, s, A);
    }
  });
  const index noise_words = HalfRoom::words(padded);
  const index room_size = Tokens::floats(padded) + P * padded + 4 * noise_words;
  auto* rooms = arena.array<float>(size_t(room_size * threads.count()));
  const index count = heads * index(segments.size()), work = T * heads * P * padded;
  threads.parallel(count, std::max<index>(1, count * 32768 / work), [&](index begin, index end, int thread) {
    float* room = rooms + thread * room_size;
    Tokens now{room, room + kTokens * padded, {}, {}};
    room += Tokens::floats(padded);
    const HalfRoom half{room, reinterpret_cast<uint32_t*>(room + P * padded), noise_words};
    for (index i = begin; i < end; ++i) {
      const auto s = size_t(i / heads);
      const index h = i % heads, g = h / (heads / G);
      const Segment& seg = segments[s];
      const auto part = [&](Rows r, index first, index width) {
        return r.row_range(seg.begin, seg.end).col_range(first, first + width);
      };
      const Head head = {.x = part(xbc, h * P, P),
                         .B = part(xbc, inner + g * N, N),
                         .C = part(xbc, inner + (G + g) * N, N),
                         .step = step.row<float>(seg.begin) + h,
                         .decay = decay.row<float>(seg.begin) + h,
                         .heads = heads,
                         .state = N,
                         .padded = padded,
                         .D = D_[size_t(h)],
                         .y = part(y, h * P, P)};
      if (states[s].format == SsmFormat::real)
        scan_real(head, now, reinterpret_cast<float*>(states[s].data) + h * P * padded);
      else
        scan_half(head, now, states[s], h, half);
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
