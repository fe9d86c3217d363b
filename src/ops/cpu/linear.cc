// Matrix products: every output is the same sums whether it is computed alone, in a small batch or in a GEMM.
//
// With few rows of x, weights are converted in registers, each read once (product-inl.h). With more, some rows of W at
// a time are decoded and laid out anew in cache (outer-inl.h).

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/linear.cc"
#include <hwy/foreach_target.h>
//
#include <algorithm>
#include <type_traits>

#include "ops/cpu/int8-inl.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/outer-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nemotron::HWY_NAMESPACE {
namespace {

// Few rows of x: weights are converted in registers, once a tile of rows of x and kCols rows of W, whose sums hide each
// other's latency. What a conversion needs of the registers and of the time decides how many rows of x a tile has
// (kTile), and from how many on laying out pays (above kMost).
//
// Up to kStream rows of x meet each row of W from end to end, so that W is read as one stream. More meet some rows of W
// a block of columns at a time: x stays in the first-level cache where its loads are what counts.
constexpr int kCols = kWidth == 16 ? 4 : 2, kAloneCols = 4;
template <class Codec>
struct Few {
  static constexpr int kTile = 6, kStream = kWidth == 16 ? kTile : 2, kMost = 48;
};
template <>
struct Few<Fp8> {
  static constexpr int kTile = 4, kMost = 20, kStream = FourSteps<Fp8>::kHas ? kMost : 2;
};
template <>
struct Few<Nvfp4> {  // times float32
  static constexpr int kTile = kWidth == 16 ? 6 : 2, kMost = kWidth == 16 ? 48 : 6, kStream = kMost;
};
struct FewInt8 {
  static constexpr int kTile = kWidth == 16 ? 6 : 4, kMost = 12;
  static constexpr int cols(int tile) { return tile == 1 ? kAloneCols : kWidth == 16 ? 2 : 1; }
};

// Rows of W that stay in the first-level cache to be met again, and those that are decoded at a time.
constexpr index kStreamRows = 8, kDecodedRows = 16;

// Few rows of x with rows n0 .. n1 of W, decoded first.
template <class Codec>
void decoded_product(const Product& p, index n0, index n1, const XReal& x, float* space) {
  const index length = p.w.k_segments * p.steps * 16;
  for (index n = n0; n < n1; n += kDecodedRows) {
    const index end = std::min(n + kDecodedRows, n1);
    for (index i = n; i < end; ++i) {
      float* row = space + (i - n) * length;
      decode_real<Codec>(p.w, i, row);
      std::fill(row + p.w.cols, row + length, 0.0f);
    }
    each_tile<2>(p.y.rows, [&](auto m, index t) HWY_ATTR {
      end_to_end<m, 1>(p, p.y.row_range(t, t + m), n, end, PanelReal{space, p.steps, length}, x.from(t));
    });
  }
}

// Few rows of x with rows n0 .. n1 of W: converted in registers, but for rows which that does not cover.
template <class Codec>
void real_product(const Product& p, index n0, index n1, const XReal& x, float* space) {
  using F = Few<Codec>;
  if (p.w.cols % 16 != 0) return decoded_product<Codec>(p, n0, n1, x, space);
  constexpr int kStreamTile = std::min(F::kTile, F::kStream);
  const bool stream = p.y.rows <= F::kStream, covered = converts_all<Codec>(p.w);
  const bool once = covered && p.y.rows <= kStreamTile;
  const index most = !stream ? kBlockedRows : once ? n1 - n0 : kStreamRows;
  for (index n = n0; n < n1; n += most) {
    const index end = std::min(n + most, n1);
    if (stream)
      each_tile<kStreamTile>(p.y.rows, [&](auto m, index t) HWY_ATTR {
        end_to_end<m, m == 1 ? kAloneCols : kCols>(p, p.y.row_range(t, t + m), n, end, FileReal<Codec, true>(p.w, n),
                                                   x.from(t));
      });
    else if constexpr (F::kStream < F::kMost)
      each_tile<F::kTile>(p.y.rows, [&](auto m, index t) HWY_ATTR {
        by_blocks<m, kCols>(p, p.y.row_range(t, t + m), n, end, FileReal<Codec, false>(p.w, n), x.from(t));
      });
    // Afterwards, when the rows are in the cache.
    if (!covered && !is_plain<Codec>(p.w.data + n * index(p.w.row_bytes()), (end - n) * p.w.cols))
      decoded_product<Codec>(p, n, end, x, space);
  }
}

// Rows of W that may be read past their end by a part of a chunk.
index rows_with_room(const Matrix& w) {
  const index codes = (120 + w.cols / 2 - 1) / (w.cols / 2),
              scales = (15 + w.cols / Nvfp4::kBlock - 1) / (w.cols / Nvfp4::kBlock);
  return std::max<index>(0, w.rows - std::max(codes, scales));
}

// Rows begin .. end of W, moved to where they may be read past their end.
Matrix with_room(const Matrix& w, index begin, index end, std::byte* space) {
  Matrix out = w;
  out.rows = end - begin;
  const auto move = [&](const uint8_t* from, index row_bytes) {
    auto* to = reinterpret_cast<uint8_t*>(space);
    std::copy(from + begin * row_bytes, from + end * row_bytes, to);
    space += out.rows * row_bytes + kChunk / 2;
    return to;
  };
  out.data = move(w.data, w.cols / 2);
  out.block_scales = move(w.block_scales, w.cols / Nvfp4::kBlock);
  return out;
}
index with_room_bytes(const Matrix& w) {
  return (w.rows - rows_with_room(w)) * (w.cols / 2 + w.cols / Nvfp4::kBlock) + kChunk;
}

// Few rows of x rounded to int8 with rows n0 .. n1 of W.
template <class Dot>
void int8_product(const Product& p, index n0, index n1, const XInt8<Dot>& x, std::byte* space) {
  const auto run = [&](const Product& q, index begin, index end) {
    const index most = q.y.rows <= FewInt8::kTile ? end - begin : kStreamRows;
    for (index n = begin; n < end; n += most)
      each_tile<FewInt8::kTile>(q.y.rows, [&](auto m, index t) HWY_ATTR {
        end_to_end<m, FewInt8::cols(m)>(q, q.y.row_range(t, t + m), n, std::min(n + most, end), FileInt8(q.w, n),
                                        x.from(t));
      });
  };
  const index roomy = std::clamp(rows_with_room(p.w), n0, n1);
  run(p, n0, roomy);
  if (roomy == n1) return;
  const Matrix last = with_room(p.w, roomy, n1, space);
  run({last, p.y.col_range(roomy, n1), p.steps}, 0, n1 - roomy);
}

// Weight rows a piece of work covers: a panel or a few.
constexpr index kBlockRows = 64;

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

// How a group's product is computed: with x as it is or rounded to int8, each row of W as it lies or both laid out for
// outer products.
enum class Way : uint8_t { real, int8, outer_floats, outer_pairs, outer_int8 };

bool is_outer(Way way) { return way != Way::real && way != Way::int8; }

// Calls f with the target's way to multiply int8.
template <class F>
decltype(auto) with_dot(const F& f) {
#if HWY_TARGET == HWY_AVX3_DL
  return f(Vnni());
#elif HWY_TARGET == HWY_AVX2
  return cpu::avx_vnni() ? f(Vnni()) : f(Widening());
#else
  return f(Widening());
#endif
}

// Calls f with the kind of outer product.
template <class F>
decltype(auto) with_kind(Way way, const F& f) {
  if (way == Way::outer_floats) return f(OuterReal<false>());
  if (way == Way::outer_pairs) return f(OuterReal<true>());
  return with_dot([&](auto dot) HWY_ATTR { return f(OuterInt8<decltype(dot)>()); });
}

Way way_of(const Group& g, Activations activations) {
  const index rows = g.end - g.begin;
  if (takes_int8(*g.w, activations)) return rows > FewInt8::kMost ? Way::outer_int8 : Way::int8;
  return visit_format(g.w->format, [&](auto codec) {
    using Codec = decltype(codec);
    return rows <= Few<Codec>::kMost ? Way::real : kFitsBf16<Codec> ? Way::outer_pairs : Way::outer_floats;
  });
}

// Rows of x that go through W at a time: prepared, they stay in the last-level cache while all of W passes over them.
constexpr index kJobRows = 512;

// Part of a group, with what the pieces of its product need.
struct Job {
  Group group;
  Way way;
  index first_block;  // of all jobs' blocks of kBlockRows weight rows
  index first_piece;  // of all jobs' pieces of x to prepare: rows to round, tiles to lay out
  std::byte* prepared;

  index rows() const { return group.end - group.begin; }
};

index pieces_of(const Job& job) {
  if (job.way == Way::real) return 0;
  if (job.way == Way::int8) return job.rows();
  return with_kind(job.way, [&](auto kind) HWY_ATTR { return OuterTiles<decltype(kind)>{job.rows()}.tiles; });
}

// Chunks of a row of x rounded to int8.
index row_chunks(const Matrix& w) { return w.k_segments * int8_steps(w); }

size_t prepared_size(const Job& job) {
  const Matrix& w = *job.group.w;
  if (job.way == Way::real) return 0;
  if (job.way == Way::int8) return size_t(job.rows() * row_chunks(w)) * sizeof(XChunk);
  return with_kind(job.way, [&](auto kind) HWY_ATTR {
    using Kind = decltype(kind);
    return size_t(OuterTiles<Kind>{job.rows()}.tiles * OuterLayout<Kind>(w).x_size()) * sizeof(typename Kind::X);
  });
}

void prepare(const Job& job, Rows x, index piece) {
  const Matrix& w = *job.group.w;
  x = x.row_range(job.group.begin, job.group.end);
  if (job.way == Way::int8)
    return with_dot([&](auto dot) HWY_ATTR {
      quantize_row<decltype(dot)>(x.row<float>(piece), w,
                                  reinterpret_cast<XChunk*>(job.prepared) + piece * row_chunks(w));
    });
  with_kind(job.way, [&](auto kind) HWY_ATTR { lay_out_tile<decltype(kind)>(x, w, piece, job.prepared); });
}

// Bytes that a thread needs for a job.
size_t space_of(const Job& job) {
  const Matrix& w = *job.group.w;
  if (job.way == Way::real) return size_t(kDecodedRows * w.k_segments * real_steps(w) * 16) * sizeof(float);
  if (job.way == Way::int8) return size_t(with_room_bytes(w));
  return with_kind(job.way, [&](auto kind) HWY_ATTR { return OuterLayout<decltype(kind)>(w).bytes(); });
}

// Rows n0 .. n1 of W; `next` are those that this thread may be given next.
void multiply(const Job& job, index n0, index n1, Rows x, Rows y, std::byte* space, const Stretch& next) {
  const Group& g = job.group;
  const Matrix& w = *g.w;
  y = y.row_range(g.begin, g.end);
  switch (job.way) {
    case Way::real: {
      const Product p{w, y, real_steps(w)};
      return visit_format(w.format, [&](auto codec) {
        real_product<decltype(codec)>(p, n0, n1, XReal{x.row<float>(g.begin), p.steps, x.stride},
                                      reinterpret_cast<float*>(space));
      });
    }
    case Way::int8: {
      const Product p{w, y, int8_steps(w)};
      return with_dot([&](auto dot) HWY_ATTR {
        const XInt8<decltype(dot)> rows{reinterpret_cast<XChunk*>(job.prepared), p.steps, row_chunks(w)};
        int8_product(p, n0, n1, rows, space);
      });
    }
    case Way::outer_floats:
    case Way::outer_pairs:
      return visit_format(w.format, [&](auto codec) {
        using Kind = OuterReal<kFitsBf16<decltype(codec)>>;
        outer_rows<Kind>(w, y, n0, n1, job.prepared, space, next, Kind::template lay_out_w<decltype(codec)>);
      });
    case Way::outer_int8:
      return with_dot([&](auto dot) HWY_ATTR {
        using Kind = OuterInt8<decltype(dot)>;
        outer_rows<Kind>(w, y, n0, n1, job.prepared, space, next, Kind::lay_out_w);
      });
  }
}

// x with its rows padded to whole steps.
Rows padded(Arena& arena, Rows x) {
  if (x.cols % 16 == 0) return x;
  const Rows to = arena.rows(Real::f32, x.rows, round_up(x.cols, 16));
  for (index t = 0; t < x.rows; ++t) {
    std::copy_n(x.row<float>(t), x.cols, to.row<float>(t));
    std::fill(to.row<float>(t) + x.cols, to.row<float>(t) + to.cols, 0.0f);
  }
  return to;
}

void linear(Threads& threads, Arena& arena, std::span<const Group> groups, Rows x, Rows y, Activations activations) {
  const Scratch scratch(arena);
  index most_jobs = 1;
  const auto parts = [](const Group& g) { return std::max<index>(0, g.end - g.begin + kJobRows - 1) / kJobRows; };
  for (const Group& g : groups) most_jobs += parts(g);
  auto* jobs = arena.array<Job>(size_t(most_jobs));
  index count = 0, blocks = 0, pieces = 0, bytes = 0, work = 0;
  size_t space = 64;
  bool any_real = false;
  for (const Group& g : groups) {
    const Way way = way_of(g, activations);
    for (index i = 0; i < parts(g); ++i) {
      const auto bound = [&](index part) { return g.begin + (g.end - g.begin) * part / parts(g); };
      Job& job = jobs[count++] = {{g.w, bound(i), bound(i + 1)}, way, blocks, pieces, nullptr};
      job.prepared = arena.array<std::byte>(prepared_size(job));
      blocks += (g.w->rows + kBlockRows - 1) / kBlockRows;
      pieces += pieces_of(job);
      bytes += g.w->rows * index(g.w->row_bytes());
      work += g.w->rows * g.w->cols * job.rows();
      space = std::max(space, size_t(round_up(index(space_of(job)), 64)));
      any_real |= way == Way::real;
    }
  }
  if (blocks == 0) return;
  jobs[count] = {{}, Way::real, blocks, pieces, nullptr};
  const auto job_of = [&](index Job::*first, index i) -> const Job* {  // the last that begins at or before i, not empty
    return std::upper_bound(jobs, jobs + count + 1, i, [&](index value, const Job& j) { return value < j.*first; }) - 1;
  };

  threads.parallel(pieces, std::max<index>(1, kWorthwhile / x.cols), [&](index begin, index end, int) {
    for (index i = begin; i < end; ++i) {
      const Job& job = *job_of(&Job::first_piece, i);
      prepare(job, x, i - job.first_piece);
    }
  });
  if (any_real) x = padded(arena, x);

  auto* spaces = arena.array<std::byte>(space * size_t(threads.count()));
  const index grain = blocks_a_piece(blocks, bytes, work, threads.count());
  const auto rows_of = [](const Job& job, index block, index most) {
    const index n = (block - job.first_block) * kBlockRows;
    return std::pair(n, std::min(n + most, job.group.w->rows));
  };
  threads.parallel(blocks, grain, [&](index begin, index end, int thread) {
    for (index b = begin; b < end; ++b) {
      const Job& job = *job_of(&Job::first_block, b);
      const auto [n0, n1] = rows_of(job, b, kBlockRows);
      Stretch next;  // for outer products; other ways ask by themselves
      const index after = b + 1 < end ? b + 1 : end + (threads.count() - 1) * grain;
      if (is_outer(job.way) && after < blocks) {
        const Job& then = *job_of(&Job::first_block, after);
        const auto [m0, m1] = rows_of(then, after, kOuterBlockRows);
        next = {*then.group.w, m0, m1};
      }
      multiply(job, n0, n1, x, y, spaces + space * size_t(thread), next);
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
