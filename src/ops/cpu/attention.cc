// Attention by pages of 64 positions, each read once for all the query heads that share it.
//
// A page gives its largest score m, the sum l of exp(score - m) and the sum a of exp(score - m) v. Two parts meet as
// m = max, l = l1 exp(m1 - m) + l2 exp(m2 - m), a likewise: pages in ascending order within a span, spans in ascending
// order. All of it depends on absolute positions alone, so that a query gets the same bits in a prompt, a batch or a
// single step, and a long context can be cut between threads at any span.
//
// Scores and values are both products whose right side, keys with positions along a row or values with head_dim along
// it, lies in the page as the product wants it; so one inner loop serves both.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/attention.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/cache_control.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "ops/cpu/kernels.h"
#include "ops/cpu/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nemotron::HWY_NAMESPACE {
namespace {

// ---- products

// c[m, n] = sum over k of a[m, k] b[k, n], in ascending k, from zero or from what c holds.
struct Product {
  const float* a;
  index a_stride;
  const float* b;
  index b_stride;
  float* c;
  index c_stride;
  index k;
  bool fresh;
};

template <int kRows, int kVectors>
HWY_INLINE void product_tile(const Product& p, index row, index col) {
  const D d;
  const float *a = p.a + row * p.a_stride, *b = p.b + col;
  float* c = p.c + row * p.c_stride + col;
  V sum[kRows][kVectors];
  for (int i = 0; i < kRows; ++i)
    for (int j = 0; j < kVectors; ++j)
      sum[i][j] = p.fresh ? hn::Zero(d) : hn::LoadU(d, c + i * p.c_stride + j * kWidth);
  for (index k = 0; k < p.k; ++k, b += p.b_stride) {
    V right[kVectors];
    for (int j = 0; j < kVectors; ++j) right[j] = hn::LoadU(d, b + j * kWidth);
    for (int i = 0; i < kRows; ++i) {
      const V left = hn::Set(d, a[i * p.a_stride + k]);
      for (int j = 0; j < kVectors; ++j) sum[i][j] = fma(left, right[j], sum[i][j]);
    }
  }
  for (int i = 0; i < kRows; ++i)
    for (int j = 0; j < kVectors; ++j) hn::StoreU(sum[i][j], d, c + i * p.c_stride + j * kWidth);
}

template <int kRows, int kVectors>
void product_rows(const Product& p, index row, index rows, index col) {
  for (; row + kRows <= rows; row += kRows) product_tile<kRows, kVectors>(p, row, col);
  if constexpr (kRows > 1)
    if (row < rows) product_rows<kRows - 1, kVectors>(p, row, rows, col);
}

// As many sums as registers hold beside a row of b: 6 x 4 of 32 registers, 6 x 2 of 16. `cols` is a multiple of 16.
constexpr int kTileRows = 6, kTileVectors = kWidth == 16 ? 4 : 2;

void product(const Product& p, index rows, index cols) {
  index col = 0;
  for (; col + kTileVectors * kWidth <= cols; col += kTileVectors * kWidth)
    product_rows<kTileRows, kTileVectors>(p, 0, rows, col);
  for (; col < cols; col += kWidth) product_rows<kTileRows, 1>(p, 0, rows, col);
}

// ---- pages

// FP8 codes are taken as FP16 numbers of the same digits, 2^-8 of their value; the scales make up for it.
constexpr float kFp8Unit = 256;

// kWidth codes as floats.
HWY_INLINE V widened(const float* codes) { return hn::LoadU(D(), codes); }

HWY_INLINE V widened(const uint16_t* codes) {
  const hn::Rebind<uint32_t, D> d32;
  return hn::BitCast(D(), hn::ShiftLeft<16>(hn::PromoteTo(d32, hn::LoadU(hn::Rebind<uint16_t, D>(), codes))));
}

template <class Code>  // a template only so that the branch of another target is not compiled
HWY_INLINE V widened_fp8(const Code* codes) {
  const D d;
  if constexpr (kNativeFma) {  // which has conversion from FP16 beside it
    const hn::Rebind<int16_t, D> d16;
    const auto wide = hn::ShiftLeft<7>(hn::PromoteTo(d16, hn::LoadU(hn::Rebind<int8_t, D>(), codes)));
    const auto half = hn::And(wide, hn::Set(d16, int16_t(0xBF80)));
    const auto nan =
        hn::VecFromMask(d16, hn::Eq(hn::Or(half, hn::Set(d16, int16_t(0x8000))), hn::Set(d16, int16_t(0xBF80))));
    return hn::PromoteTo(d, hn::BitCast(hn::Rebind<hwy::float16_t, D>(), hn::Or(half, nan)));
  } else {
    const hn::RebindToSigned<D> d32;
    const auto wide = hn::PromoteTo(d32, hn::LoadU(hn::Rebind<int8_t, D>(), codes));
    const auto magnitude = hn::And(wide, hn::Set(d32, 0x7F));
    const auto finite = hn::Mul(hn::BitCast(d, hn::ShiftLeft<20>(magnitude)), hn::Set(d, 0x1p112f));
    const auto sign = hn::BitCast(d, hn::And(wide, hn::Set(d32, int32_t(0x80000000))));
    const auto nan = hn::VecFromMask(d32, hn::Eq(magnitude, hn::Set(d32, 0x7F)));
    return hn::Or(hn::Or(finite, sign), hn::BitCast(d, nan));
  }
}

HWY_INLINE V widened(const int8_t* codes) { return widened_fp8(codes); }

template <class Code>
void widen_rows(const Code* codes, index stride, index rows, index cols, float* out) {
  const index padded = round_up(cols, 16);
  for (index r = 0; r < rows; ++r, codes += stride, out += padded) {
    index c = 0;
    for (; c + kWidth <= cols; c += kWidth) hn::StoreU(widened(codes + c), D(), out + c);
    if (c == padded) continue;
    Code tail[16] = {};
    std::copy_n(codes + c, cols - c, tail);
    for (index i = 0; c + i < padded; i += kWidth) hn::StoreU(widened(tail + i), D(), out + c + i);
  }
}

// Part of a page as floats with whole sixteens a row, in place or in `room`: rows first .. first+rows of a matrix
// whose rows have `stride` numbers, of which the first `cols` are wanted. Sets the stride.
const float* page_rows(const std::byte* matrix, KvFormat format, index first, index rows, index cols, index& stride,
                       float* room) {
  const std::byte* at = matrix + first * stride * index(kv_size(format, Real::f32));
  // Short vectors walk a chunk in strips, too narrow for memory: they want it copied.
  if (kWidth == 16 && format == KvFormat::real && stride % 16 == 0) return reinterpret_cast<const float*>(at);
  if (format == KvFormat::real)
    widen_rows(reinterpret_cast<const float*>(at), stride, rows, cols, room);
  else if (format == KvFormat::bf16)
    widen_rows(reinterpret_cast<const uint16_t*>(at), stride, rows, cols, room);
  else
    widen_rows(reinterpret_cast<const int8_t*>(at), stride, rows, cols, room);
  stride = round_up(cols, 16);
  return room;
}

// ---- queries

// Some rows of a sequence that lie in one page, and all heads that share one head of keys and values: query
// r * per_kv + h is row r, head h. The tile covers some of the pages they see.
struct Tile {
  const KvCache* cache;
  index row, position, rows;  // its first row in the batch and in the sequence
  index kv_head;
  index first_page, end_page;
  bool alone;  // these are all the pages they see
};

// What queries have of some pages.
struct Part {
  float *most, *weight;  // [queries]
  float* sum;            // [queries, padded]

  static index floats(index queries, index padded) { return queries * padded + 2 * round_up(queries, 16); }
  static Part in(float* room, index queries, index padded) {
    float* most = room + queries * padded;
    return {most, most + round_up(queries, 16), room};
  }
};

// What stays the same for all tiles of a call.
struct Call {
  AttentionShape shape;
  index per_kv, padded;  // query heads a head of keys and values; head_dim in whole sixteens
  index queries;         // the most that a tile has
  Rows q, y;
};

// Rows of keys or values that stay in the first-level cache while all queries pass over them.
constexpr index kChunk = 16;

// Scratch of one thread.
struct Room {
  float* queries;                // [queries, padded]
  float* scores;                 // [queries, kPage]
  float *both, *before, *after;  // [queries]
  float* widened;                // [kChunk, kPage or padded]
  Part page, span, all;

  static index floats(const Call& call) {
    return call.queries * (call.padded + kPage) + 3 * round_up(call.queries, 16) +
           kChunk * std::max(kPage, call.padded) + 3 * Part::floats(call.queries, call.padded);
  }
  Room(const Call& call, float* at) {
    const auto take = [&](index floats) { return std::exchange(at, at + floats); };
    queries = take(call.queries * call.padded);
    scores = take(call.queries * kPage);
    for (float** list : {&both, &before, &after}) *list = take(round_up(call.queries, 16));
    widened = take(kChunk * std::max(kPage, call.padded));
    for (Part* part : {&page, &span, &all})
      *part = Part::in(take(Part::floats(call.queries, call.padded)), call.queries, call.padded);
  }
};

// Adds what b has to what a has.
void meet(const Part& a, const Part& b, index queries, index padded, const Room& room) {
  const D d;
  const auto most = [](V x, V y) HWY_ATTR { return hn::Max(x, y); };
  const auto factor = [](V own, V of_both) HWY_ATTR { return exp(hn::Sub(own, of_both)); };
  transform(queries, room.both, most, a.most, b.most);
  transform(queries, room.before, factor, a.most, room.both);
  transform(queries, room.after, factor, b.most, room.both);
  std::copy_n(room.both, queries, a.most);
  for (index q = 0; q < queries; ++q) {
    a.weight[q] = std::fma(a.weight[q], room.before[q], b.weight[q] * room.after[q]);
    const V before = hn::Set(d, room.before[q]), after = hn::Set(d, room.after[q]);
    float* sum = a.sum + q * padded;
    const float* more = b.sum + q * padded;
    for (index c = 0; c < padded; c += kWidth)
      hn::StoreU(fma(hn::LoadU(d, sum + c), before, hn::Mul(hn::LoadU(d, more + c), after)), d, sum + c);
  }
}

// Turns `seen` products of a query with keys into exponentials of scores, zeros up to a whole sixteen behind them.
void softmax(float* scores, index seen, float scale, float& most, float& weight) {
  const D d;
  const V least = hn::Set(d, -std::numeric_limits<float>::infinity()), factor = hn::Set(d, scale);
  const index whole = round_up(seen, 16);
  V top = least;
  for (index j = 0; j < whole; j += kWidth) {
    V v = hn::Mul(hn::LoadU(d, scores + j), factor);
    if (j + kWidth > seen) v = hn::IfThenElse(hn::FirstN(d, size_t(std::max<index>(seen - j, 0))), v, least);
    hn::StoreU(v, d, scores + j);
    top = hn::Max(top, v);
  }
  top = hn::MaxOfLanes(d, top);
  Sums sum;
  clear(sum);
  for (index j = 0; j < whole; j += 16) {
    for (int i = 0; i < kRegs; ++i) {
      const V p = exp(hn::Sub(hn::LoadU(d, scores + j + i * kWidth), top));
      hn::StoreU(p, d, scores + j + i * kWidth);
      sum.r[i] = hn::Add(sum.r[i], p);
    }
  }
  most = hn::GetLane(top);
  weight = total(sum);
}

// Asks for what is read next, for a page is too short a run for hardware to see it coming.
void fetch(const std::byte* data, index bytes) {
  for (index i = 0; i < bytes; i += 64) hwy::Prefetch(data + i);
}

// What a tile has of one page.
void page_part(const Call& call, const Tile& tile, index number, const Room& room, const Part& part) {
  const KvCache& cache = *tile.cache;
  const index hd = call.shape.head_dim, queries = tile.rows * call.per_kv;
  const index size = index(kv_size(cache.format, Real::f32)), head_bytes = kPage * hd * size;
  const std::byte *keys = cache.pages[number] + tile.kv_head * head_bytes,
                  *values = keys + call.shape.kv_heads * head_bytes;
  const auto seen_by = [&](index row) { return std::min(kPage, tile.position + row + 1 - number * kPage); };
  const index seen = seen_by(tile.rows - 1), positions = round_up(seen, 16);

  for (index begin = 0; begin < hd; begin += kChunk) {
    fetch(begin + kChunk < hd ? keys + (begin + kChunk) * kPage * size : values, kChunk * kPage * size);
    index stride = kPage;
    const index count = std::min(kChunk, hd - begin);
    const float* right = page_rows(keys, cache.format, begin, count, positions, stride, room.widened);
    product({room.queries + begin, call.padded, right, stride, room.scores, kPage, count, begin == 0}, queries,
            positions);
  }
  const float scale = 1 / std::sqrt(float(hd)) * (cache.format == KvFormat::fp8 ? cache.k_scale * kFp8Unit : 1);
  for (index q = 0; q < queries; ++q)
    softmax(room.scores + q * kPage, seen_by(q / call.per_kv), scale, part.most[q], part.weight[q]);

  // Rows that see as many positions go together: all of them, but for the page they are in themselves.
  const index together = seen_by(0) == kPage ? tile.rows : 1;
  for (index begin = 0; begin < seen; begin += kChunk) {
    if (begin + kChunk < seen)
      fetch(values + (begin + kChunk) * hd * size, kChunk * hd * size);
    else if (number + 1 < tile.end_page)
      fetch(cache.pages[number + 1] + tile.kv_head * head_bytes, kChunk * kPage * size);
    index stride = hd;
    const float* right =
        page_rows(values, cache.format, begin, std::min(kChunk, seen - begin), hd, stride, room.widened);
    for (index row = 0; row < tile.rows; row += together) {
      const index count = std::min(kChunk, seen_by(row) - begin), q = row * call.per_kv;
      if (count <= 0) continue;
      product({room.scores + q * kPage + begin, kPage, right, stride, part.sum + q * call.padded, call.padded, count,
               begin == 0},
              together * call.per_kv, call.padded);
    }
  }
}

// What a tile has of its pages.
Part walk(const Call& call, const Tile& tile, Room& room) {
  const index hd = call.shape.head_dim, queries = tile.rows * call.per_kv;
  for (index q = 0; q < queries; ++q) {
    const float* row = call.q.row<float>(tile.row + q / call.per_kv);
    float* query = room.queries + q * call.padded;
    std::copy_n(row + (tile.kv_head * call.per_kv + q % call.per_kv) * hd, hd, query);
    std::fill(query + hd, query + call.padded, 0.0f);
  }
  for (index page = tile.first_page; page < tile.end_page; ++page) {
    page_part(call, tile, page, room, room.page);
    if (page % kSpan == 0)
      std::swap(room.span, room.page);
    else
      meet(room.span, room.page, queries, call.padded, room);
    if (page % kSpan != kSpan - 1 && page + 1 != tile.end_page) continue;
    if (page / kSpan == tile.first_page / kSpan)
      std::swap(room.all, room.span);
    else
      meet(room.all, room.span, queries, call.padded, room);
  }
  return room.all;
}

void write(const Call& call, const Tile& tile, const Part& part) {
  const index hd = call.shape.head_dim;
  const V scale = hn::Set(D(), tile.cache->format == KvFormat::fp8 ? tile.cache->v_scale * kFp8Unit : 1.0f);
  for (index q = 0; q < tile.rows * call.per_kv; ++q) {
    const V weight = hn::Set(D(), part.weight[q]);
    transform(
        hd, call.y.row<float>(tile.row + q / call.per_kv) + (tile.kv_head * call.per_kv + q % call.per_kv) * hd,
        [&](V v) HWY_ATTR { return hn::Mul(hn::Div(v, weight), scale); }, part.sum + q * call.padded);
  }
}

// Calls f(tile) for every tile, in pieces of `pages` where that is not 0.
template <class F>
void each_tile(const Call& call, index rows, index pages, std::span<const Segment> segments,
               std::span<const KvCache> caches, const F& f) {
  for (size_t s = 0; s < segments.size(); ++s) {
    for (index i = 0; i < segments[s].size();) {
      const index position = caches[s].position + i;
      const index count = std::min(rows - position % rows, segments[s].size() - i), end = position / kPage + 1;
      const index step = pages ? pages : end;
      for (index head = 0; head < call.shape.kv_heads; ++head)
        for (index page = 0; page < end; page += step)
          f(Tile{&caches[s], segments[s].begin + i, position, count, head, page, std::min(page + step, end),
                 step >= end});
      i += count;
    }
  }
}

// Queries a tile, as far as whole rows of heads give them: enough to reuse a page, few enough to stay in cache.
constexpr index kTileQueries = 64;
// Tiles a thread below which they are cut at spans.
constexpr index kTilesPerThread = 4;
// Multiply-adds that outweigh handing a piece of work to another thread.
constexpr index kWorth = 1 << 17;

}  // namespace

void kv_store_op(Threads& threads, const AttentionShape& shape, Rows k, Rows v, std::span<const Segment> segments,
                 std::span<const KvCache> caches) {
  const index hd = shape.head_dim;
  for (size_t s = 0; s < segments.size(); ++s) {
    const KvCache& cache = caches[s];
    const index head_bytes = kPage * hd * index(kv_size(cache.format, Real::f32));
    // Head x of row i into a matrix whose elements of one position are `stride` apart.
    const auto put = [&](const float* x, float scale, std::byte* matrix, index at, index stride) {
      const auto each = [&](auto* codes, const auto& encode) {
        for (index d = 0; d < hd; ++d) codes[at + d * stride] = encode(x[d]);
      };
      if (cache.format == KvFormat::real)
        each(reinterpret_cast<float*>(matrix), [](float e) { return e; });
      else if (cache.format == KvFormat::bf16)
        each(reinterpret_cast<Bf16::Code*>(matrix), [](float e) { return Bf16::encode(e); });
      else
        each(reinterpret_cast<uint8_t*>(matrix), [scale](float e) { return E4m3::encode(e / scale); });
    };
    threads.parallel(segments[s].size(), 16, [&](index begin, index end, int) {
      for (index i = begin; i < end; ++i) {
        const index position = cache.position + i, t = segments[s].begin + i, at = position % kPage;
        std::byte* page = cache.pages[position / kPage];
        for (index g = 0; g < shape.kv_heads; ++g) {
          put(k.row<float>(t) + g * hd, cache.k_scale, page + g * head_bytes, at, kPage);
          put(v.row<float>(t) + g * hd, cache.v_scale, page + (shape.kv_heads + g) * head_bytes, at * hd, 1);
        }
      }
    });
  }
}

void attention_op(Threads& threads, Arena& arena, const AttentionShape& shape, Rows q,
                  std::span<const Segment> segments, std::span<const KvCache> caches, Rows y) {
  const Scratch scratch(arena);
  Call call{shape, shape.heads / shape.kv_heads, round_up(shape.head_dim, 16), 0, q, y};
  // Rows a tile: a power of two, so that no tile straddles pages.
  index longest = 1;
  for (const Segment& s : segments) longest = std::max(longest, s.size());
  const auto rows = index(std::bit_floor(uint64_t(std::clamp<index>(kTileQueries / call.per_kv, 1, kPage))));
  const index tile_rows = std::min(rows, index(std::bit_ceil(uint64_t(longest))));
  call.queries = tile_rows * call.per_kv;

  // Few tiles are cut at spans, so that every thread finds work.
  index count = 0;
  each_tile(call, tile_rows, 0, segments, caches, [&](const Tile&) { ++count; });
  const index pages = count < kTilesPerThread * threads.count() && threads.count() > 1 ? kSpan : 0;
  if (pages) {
    count = 0;
    each_tile(call, tile_rows, pages, segments, caches, [&](const Tile&) { ++count; });
  }
  auto* tiles = arena.array<Tile>(size_t(count));
  index filled = 0, work = 0;
  bool cut = false;
  each_tile(call, tile_rows, pages, segments, caches, [&](const Tile& tile) {
    tiles[filled++] = tile;
    cut = cut || !tile.alone;
    work += (tile.end_page - tile.first_page) * kPage * tile.rows * call.per_kv * call.padded * 2;
  });
  const index part_size = Part::floats(call.queries, call.padded), room_size = Room::floats(call);
  auto* parts = cut ? arena.array<float>(size_t(count * part_size)) : nullptr;
  auto* rooms = arena.array<float>(size_t(room_size * threads.count()));
  const auto part_of = [&](index i) { return Part::in(parts + i * part_size, call.queries, call.padded); };

  threads.parallel(count, std::max<index>(1, count * kWorth / work), [&](index begin, index end, int thread) {
    Room room(call, rooms + thread * room_size);
    for (index i = begin; i < end; ++i) {
      const Part part = walk(call, tiles[i], room);
      if (tiles[i].alone)
        write(call, tiles[i], part);
      else
        std::copy_n(part.sum, part_size, part_of(i).sum);
    }
  });
  if (!cut) return;
  threads.parallel(count, std::max<index>(1, count * kWorth / work), [&](index begin, index end, int thread) {
    const Room room(call, rooms + thread * room_size);
    for (index i = begin; i < end; ++i) {
      if (tiles[i].alone || tiles[i].first_page > 0) continue;
      const Part all = part_of(i);
      index last = i + 1;
      for (; last < count && tiles[last].first_page > 0; ++last)
        meet(all, part_of(last), tiles[i].rows * call.per_kv, call.padded, room);
      write(call, tiles[i], all);
    }
  });
}

}  // namespace nemotron::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nemotron {
HWY_EXPORT(kv_store_op);
HWY_EXPORT(attention_op);

namespace cpu {
void kv_store(Threads& threads, const AttentionShape& shape, Rows k, Rows v, std::span<const Segment> segments,
              std::span<const KvCache> caches) {
  HWY_DYNAMIC_DISPATCH(kv_store_op)(threads, shape, k, v, segments, caches);
}
void attention(Threads& threads, Arena& arena, const AttentionShape& shape, Rows q, std::span<const Segment> segments,
               std::span<const KvCache> caches, Rows y) {
  HWY_DYNAMIC_DISPATCH(attention_op)(threads, arena, shape, q, segments, caches, y);
}
}  // namespace cpu
}  // namespace nemotron
#endif
