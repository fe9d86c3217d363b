// Matrix products: every output is the same sums whether it is computed alone, in a small batch or in a GEMM.
//
// With few rows of x, weights are converted in registers, each read once. With more, a panel of weight rows is decoded
// once into cache and every tile of x runs over it. Both are one loop (product-inl.h).

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/linear.cc"
#include <hwy/foreach_target.h>
//
#include <algorithm>
#include <type_traits>

#include "ops/cpu/int8-inl.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/real-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nemotron::HWY_NAMESPACE {
namespace {

// Tiles: rows of x, rows of W, with one register of each sum at a time; as many sums as registers hold, in the ratio
// that loads least.
constexpr int kRealRows = kWidth == 16 ? 6 : kWidth == 8 ? 4 : 2, kRealCols = kWidth == 16 ? 4 : kWidth == 8 ? 3 : 2;
constexpr int kInt8Rows = 6, kInt8Cols = kWidth == 16 ? 2 : 1;
// Up to so many rows of x weights are converted in registers, once a tile; with more, decoding into a panel pays. The
// dearer a format's conversion, the sooner.
constexpr int kInt8Few = kWidth == 16 ? 32 : 14;
template <class Codec>
constexpr int kRealFew = kWidth == 16                   ? 48
                         : std::is_same_v<Codec, Nvfp4> ? 2
                         : std::is_same_v<Codec, Fp8>   ? 4
                                                        : 12;
constexpr int kInt8FewRows = kWidth == 16 ? 6 : 4, kRealFewRows = kWidth == 16 ? 6 : 2;  // and of a tile then
// Rows of W that are then read beside each other: their sums hide each other's latency, and x is loaded once for all.
constexpr int kFewCols = kWidth == 16 ? 4 : 2;

// Rows n0 .. n1 of W as they lie in the file, kN beside each other where as many are left.
template <class File, int kMost, int kN, class X>
void few_rows(const Product& p, index n0, index n1, const X& x) {
  for (index n = n0; n < n1; n += kFileRows) {
    const int count = int(std::min<index>(kFileRows, n1 - n));
    if (count % kN == 0)
      all_rows<kMost, kN, kRegs>(p, n, File(p.w, n), count, x);
    else
      all_rows<kMost, 1, kRegs>(p, n, File(p.w, n), count, x);
  }
}

// Bytes of a panel: they stay in the second-level cache.
constexpr index kPanelBytes = 256 << 10;
constexpr index panel_rows(index row_bytes) {
  return std::clamp<index>(kPanelBytes / row_bytes / 4 * 4, 4, kPanelRows);
}

// Rows n0 .. n1 of W, a panel at a time: decode(n, to) writes a row of `length` elements.
template <int kMost, int kN, class Panel, class X, class T, class Decode>
void many_rows(const Product& p, index n0, index n1, const X& x, T* space, index length, const Decode& decode) {
  const index most = panel_rows(length * index(sizeof(T)));
  for (index n = n0; n < n1; n += most) {
    const index count = std::min(most, n1 - n);
    for (index j = 0; j < count; ++j) decode(n + j, space + j * length);
    all_rows<kMost, kN, 1>(p, n, Panel{space, p.steps, length}, int(count), x);
  }
}

template <class Codec>
void real_product(const Product& p, index n0, index n1, const XReal& x, void* space) {
  const auto decoded = [&](index begin, index end) HWY_ATTR {
    many_rows<kRealRows, kRealCols, PanelReal>(p, begin, end, x, static_cast<float*>(space),
                                               p.w.k_segments * p.steps * 16,
                                               [&](index n, float* to) { decode_row_real<Codec>(p.w, n, to); });
  };
  if (p.y.rows > kRealFew<Codec> || p.w.cols % 16) return decoded(n0, n1);
  for (index n = n0; n < n1; n += kFileRows) {
    const index end = std::min(n + kFileRows, n1);
    if (p.y.rows == 1)
      few_rows<FileReal<Codec>, 1, kFewCols>(p, n, end, x);
    else
      few_rows<FileReal<Codec>, kRealFewRows, kFewCols>(p, n, end, x);
    // Looked at afterwards, when the rows are in the cache.
    if (!is_plain<Codec>(p.w, n, end - n)) decoded(n, end);
  }
}

template <class Dot>
void int8_product(const Product& p, index n0, index n1, const XInt8<Dot>& x, void* space) {
  const index few = p.y.rows <= kInt8Few ? std::clamp(rows_with_room(p.w), n0, n1) : n0;
  if (p.y.rows == 1)
    few_rows<FileInt8, 1, kFewCols>(p, n0, few, x);
  else
    few_rows<FileInt8, kInt8FewRows, kInt8Cols>(p, n0, few, x);
  many_rows<kInt8Rows, kInt8Cols, PanelInt8>(p, few, n1, x, static_cast<WChunk*>(space), p.w.k_segments * p.steps,
                                             [&](index n, WChunk* to) { decode_row_int8(p.w, n, to); });
}

// Weight rows a piece of work covers: a panel or a few.
constexpr index kBlockRows = 32;

// Multiplications that outweigh handing a piece to a thread.
constexpr index kWorthwhile = 1 << 16;

// How many of `blocks` blocks with so many bytes of weights and multiplications in all a thread takes at a time: a
// stretch that is worth handing over and long enough for the processor to read ahead, but some pieces for each thread.
index blocks_a_piece(index blocks, index bytes, index work, int threads) {
  constexpr index kStretch = 256 << 10, kMostWork = 4 << 20;
  const index least = kWorthwhile * blocks / std::max<index>(work, 1);
  const index stretch =
      std::min(kStretch * blocks / std::max<index>(bytes, 1), kMostWork * blocks / std::max<index>(work, 1));
  return std::max({index{1}, least, std::min(stretch, blocks / (8 * threads))});
}

// Calls f with the target's way to multiply int8.
template <class F>
void with_dot(const F& f) {
#if HWY_TARGET == HWY_AVX3_DL
  f(Vnni());
#elif HWY_TARGET == HWY_AVX2
  cpu::avx_vnni() ? f(Vnni()) : f(Widening());
#else
  f(Widening());
#endif
}

// A group with what the pieces of its product need.
struct Job {
  const Group* group;
  index first_block;  // of all jobs' blocks of kBlockRows weight rows
  index first_row;    // of all rows to quantize
  index chunks;       // a row of x quantized; 0: it is not
  XChunk* x;          // quantized rows
};

size_t panel_bytes(const Matrix& w, bool int8) {
  const index row = int8 ? w.k_segments * int8_steps(w) * index(sizeof(WChunk)) : w.k_segments * real_steps(w) * 64;
  return size_t(row * panel_rows(row));
}

void linear(Threads& threads, Arena& arena, std::span<const Group> groups, Rows x, Rows y, Activations activations) {
  const Scratch scratch(arena);
  auto* jobs = arena.array<Job>(groups.size() + 1);
  index count = 0, blocks = 0, rows = 0, chunks = 0, bytes = 0, work = 0;
  size_t panel = 64;
  bool any_real = false;
  for (const Group& g : groups) {
    if (g.end <= g.begin) continue;
    const bool int8 = takes_int8(*g.w, activations);
    Job& job = jobs[count++] = {&g, blocks, rows, int8 ? g.w->k_segments * int8_steps(*g.w) : 0, nullptr};
    blocks += (g.w->rows + kBlockRows - 1) / kBlockRows;
    bytes += g.w->rows * index(g.w->row_bytes());
    work += g.w->rows * g.w->cols * (g.end - g.begin);
    panel = std::max(panel, panel_bytes(*g.w, int8));
    if (int8) {
      rows += g.end - g.begin;
      chunks += job.chunks * (g.end - g.begin);
    } else {
      any_real = true;
    }
  }
  if (blocks == 0) return;
  jobs[count] = {nullptr, blocks, rows, 0, nullptr};
  const auto job_of = [&](index Job::*first, index i) {  // the last that begins at or before i and is not empty
    const Job* job =
        std::upper_bound(jobs, jobs + count + 1, i, [&](index value, const Job& j) { return value < j.*first; });
    return index(job - jobs) - 1;
  };

  auto* quantized = arena.array<XChunk>(size_t(chunks));
  index taken = 0;
  for (index i = 0; i < count; ++i) {
    jobs[i].x = quantized + taken;
    taken += jobs[i].chunks * (jobs[i].group->end - jobs[i].group->begin);
  }
  threads.parallel(rows, std::max<index>(1, kWorthwhile / x.cols), [&](index begin, index end, int) {
    for (index i = job_of(&Job::first_row, begin), r = begin; r < end; ++r) {
      while (r >= jobs[i + 1].first_row) ++i;
      const Group& g = *jobs[i].group;
      const index t = r - jobs[i].first_row;
      with_dot([&](auto dot) HWY_ATTR {
        quantize_row<decltype(dot)>(x.row<float>(g.begin + t), *g.w, jobs[i].x + t * jobs[i].chunks);
      });
    }
  });

  if (any_real && x.cols % 16) {  // rows padded to whole steps
    const Rows padded = arena.rows(Real::f32, x.rows, round_up(x.cols, 16));
    for (index t = 0; t < x.rows; ++t) {
      std::copy_n(x.row<float>(t), x.cols, padded.row<float>(t));
      std::fill(padded.row<float>(t) + x.cols, padded.row<float>(t) + padded.cols, 0.0f);
    }
    x = padded;
  }

  auto* panels = arena.array<std::byte>(panel * size_t(threads.count()));
  const index grain = blocks_a_piece(blocks, bytes, work, threads.count());
  threads.parallel(blocks, grain, [&](index begin, index end, int thread) {
    std::byte* space = panels + panel * size_t(thread);
    for (index i = job_of(&Job::first_block, begin), b = begin; b < end; ++b) {
      while (b >= jobs[i + 1].first_block) ++i;
      const Job& job = jobs[i];
      const Group& g = *job.group;
      const index n0 = (b - job.first_block) * kBlockRows, n1 = std::min(n0 + kBlockRows, g.w->rows);
      if (job.chunks) {
        const Product p{*g.w, y.row_range(g.begin, g.end), int8_steps(*g.w)};
        with_dot([&](auto dot) HWY_ATTR {
          int8_product(p, n0, n1, XInt8<decltype(dot)>{job.x, p.steps, job.chunks}, space);
        });
      } else {
        const Product p{*g.w, y.row_range(g.begin, g.end), real_steps(*g.w)};
        visit_format(g.w->format, [&](auto codec) {
          real_product<decltype(codec)>(p, n0, n1, XReal{x.row<float>(g.begin), p.steps, x.stride}, space);
        });
      }
    }
  });
}

}  // namespace

void linear_op(Threads& threads, Arena& arena, std::span<const Group> groups, Rows x, Rows y, Activations activations) {
  linear(threads, arena, groups, x, y, activations);
}
}  // namespace nemotron::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nemotron {
HWY_EXPORT(linear_op);

void cpu::linear(Threads& threads, Arena& arena, std::span<const Group> groups, Rows x, Rows y,
                 Activations activations) {
  HWY_DYNAMIC_DISPATCH(linear_op)(threads, arena, groups, x, y, activations);
}
}  // namespace nemotron
#endif
