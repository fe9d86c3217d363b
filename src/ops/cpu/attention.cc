// Attention by pages of 64 positions: each page is summed on its own, and pages meet in ascending order.
//
// A page gives its largest score m, the sum l of exp(score - m) and the sum a of exp(score - m) v. Two meet as
// m = max, l = l1 exp(m1 - m) + l2 exp(m2 - m), a likewise. All of it depends on absolute positions alone, so that a
// query gets the same bits in a prompt, a batch or a single step.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/attention.cc"
#include <hwy/foreach_target.h>
//
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "ops/cpu/kernels.h"
#include "ops/cpu/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nemotron::HWY_NAMESPACE {
namespace {

// `count` rows of a page's keys or values of one head, as floats with rows of whole sixteens: in place or in `room`.
const float* page_rows(const std::byte* rows, KvFormat format, float scale, index count, index head_dim, float* room) {
  const index padded = round_up(head_dim, 16);
  if (format == KvFormat::real && padded == head_dim) return reinterpret_cast<const float*>(rows);
  for (index j = 0; j < count; ++j) {
    float* out = room + j * padded;
    std::fill_n(out + head_dim, padded - head_dim, 0.0f);
    switch (format) {
      case KvFormat::real:
        std::memcpy(out, rows + j * head_dim * 4, size_t(head_dim) * 4);
        break;
      case KvFormat::bf16: {
        const auto* codes = reinterpret_cast<const Bf16::Code*>(rows) + j * head_dim;
        for (index i = 0; i < head_dim; ++i) out[i] = Bf16::decode(codes[i]);
        break;
      }
      case KvFormat::fp8: {
        const float* values = cpu::e4m3_values();
        const auto* codes = reinterpret_cast<const uint8_t*>(rows) + j * head_dim;
        for (index i = 0; i < head_dim; ++i) out[i] = values[codes[i]] * scale;
        break;
      }
    }
  }
  return room;
}

// One query's running sums.
struct Running {
  const float* query;  // [padded head_dim]
  float* sum;          // [padded head_dim]
  index last;          // its own position: it sees 0 .. last
  float most = 0, weight = 0;
};

// Scores of one query with `count` keys, scaled.
void scores(const float* query, const float* keys, index count, index padded, float scale, float* out) {
  index j = 0;
  const auto dot = [&](const float* key) HWY_ATTR {
    Sums sum, q, k;
    clear(sum);
    for (index i = 0; i < padded; i += 16) {
      load(query + i, q);
      load(key + i, k);
      for (int r = 0; r < kRegs; ++r) sum.r[r] = fma(q.r[r], k.r[r], sum.r[r]);
    }
    return fold(sum);
  };
  for (; j + 4 <= count; j += 4) {
    const float* key = keys + j * padded;
    const V4 four = total4(dot(key), dot(key + padded), dot(key + 2 * padded), dot(key + 3 * padded));
    hn::StoreU(hn::Mul(four, hn::Set(D4(), scale)), D4(), out + j);
  }
  for (; j < count; ++j) {
    const V4 one = dot(keys + j * padded);
    out[j] = hn::GetLane(total4(one, one, one, one)) * scale;
  }
}

// Adds a page to a query's sums; `first` is the page of position 0, which starts them.
void add_page(Running& q, const float* keys, const float* values, index count, index padded, float scale, bool first) {
  const D d;
  float p[kPage] = {};
  scores(q.query, keys, count, padded, scale, p);
  float most = p[0];
  for (index j = 1; j < count; ++j) most = std::max(most, p[j]);
  std::fill(p + count, p + kPage, -std::numeric_limits<float>::infinity());
  const V m = hn::Set(d, most);
  Sums sum, v;
  clear(sum);
  for (index j = 0; j < kPage; j += 16) {
    load(p + j, v);
    for (int i = 0; i < kRegs; ++i) {
      v.r[i] = exp(hn::Sub(v.r[i], m));
      sum.r[i] = hn::Add(sum.r[i], v.r[i]);
    }
    store(v, p + j);
  }
  const float weight = total(sum);
  float before = 0, after = 1;  // what the sums so far and this page are scaled by
  if (!first) {
    const float both = std::max(q.most, most);
    float parts[16] = {q.most - both, most - both};
    load(parts, v);
    for (int i = 0; i < kRegs; ++i) v.r[i] = exp(v.r[i]);
    store(v, parts);
    before = parts[0], after = parts[1];
    most = both;
  }
  q.weight = std::fma(q.weight, before, weight * after);
  q.most = most;
  const V old_scale = hn::Set(d, before), new_scale = hn::Set(d, after);
  for (index c = 0; c < padded; c += 16) {
    clear(sum);
    for (index j = 0; j < count; ++j) {
      const V pj = hn::Set(d, p[j]);
      load(values + j * padded + c, v);
      for (int i = 0; i < kRegs; ++i) sum.r[i] = fma(pj, v.r[i], sum.r[i]);
    }
    load(q.sum + c, v);
    for (int i = 0; i < kRegs; ++i) v.r[i] = fma(v.r[i], old_scale, hn::Mul(sum.r[i], new_scale));
    store(v, q.sum + c);
  }
}

// A piece of work: rows x heads of queries that share a head of keys and values.
struct Tile {
  size_t segment;
  index first_row, rows, kv_head, first_head, heads;
};

constexpr index kTileRows = 4, kTileHeads = 8;

}  // namespace

void kv_store_op(Threads& threads, const AttentionShape& shape, Rows k, Rows v, std::span<const Segment> segments,
                 std::span<const KvCache> caches) {
  const index hd = shape.head_dim;
  const auto put = [hd](const float* x, KvFormat format, float scale, std::byte* out) {
    switch (format) {
      case KvFormat::real:
        std::memcpy(out, x, size_t(hd) * 4);
        break;
      case KvFormat::bf16:
        for (index d = 0; d < hd; ++d) reinterpret_cast<Bf16::Code*>(out)[d] = Bf16::encode(x[d]);
        break;
      case KvFormat::fp8:
        for (index d = 0; d < hd; ++d) out[d] = std::byte(E4m3::encode(x[d] / scale));
        break;
    }
  };
  for (size_t s = 0; s < segments.size(); ++s) {
    const KvCache& cache = caches[s];
    const auto row_bytes = index(kv_size(cache.format, Real::f32)) * hd;
    threads.parallel(segments[s].size(), 16, [&](index begin, index end, int) {
      for (index i = begin; i < end; ++i) {
        const index position = cache.position + i, t = segments[s].begin + i;
        std::byte* page = cache.pages[position / kPage];
        for (index g = 0; g < shape.kv_heads; ++g) {
          const auto at = [&](index head) { return page + (head * kPage + position % kPage) * row_bytes; };
          put(k.row<float>(t) + g * hd, cache.format, cache.k_scale, at(g));
          put(v.row<float>(t) + g * hd, cache.format, cache.v_scale, at(shape.kv_heads + g));
        }
      }
    });
  }
}

void attention_op(Threads& threads, Arena& arena, const AttentionShape& shape, Rows q,
                  std::span<const Segment> segments, std::span<const KvCache> caches, Rows y) {
  const Scratch scratch(arena);
  const index hd = shape.head_dim, padded = round_up(hd, 16), per_kv = shape.heads / shape.kv_heads;
  const float scale = 1.0f / std::sqrt(float(hd));
  std::vector<Tile> tiles;
  for (size_t s = 0; s < segments.size(); ++s)
    for (index r = 0; r < segments[s].size(); r += kTileRows)
      for (index g = 0; g < shape.kv_heads; ++g)
        for (index h = 0; h < per_kv; h += kTileHeads)
          tiles.push_back(
              {s, r, std::min(kTileRows, segments[s].size() - r), g, g * per_kv + h, std::min(kTileHeads, per_kv - h)});
  const index room_size = 2 * kPage * padded + 2 * kTileRows * kTileHeads * padded;
  auto* rooms = arena.array<float>(size_t(room_size * threads.count()));
  threads.parallel(index(tiles.size()), 1, [&](index begin, index end, int thread) {
    float* room = rooms + thread * room_size;
    float *key_room = room, *value_room = room + kPage * padded, *query_room = value_room + kPage * padded;
    for (index i = begin; i < end; ++i) {
      const Tile& tile = tiles[size_t(i)];
      const KvCache& cache = caches[tile.segment];
      const auto head_bytes = index(kv_size(cache.format, Real::f32)) * kPage * hd;
      Running running[kTileRows * kTileHeads];
      index count = 0;
      for (index r = 0; r < tile.rows; ++r) {
        for (index h = 0; h < tile.heads; ++h, ++count) {
          float* padded_query = query_room + 2 * count * padded;
          std::fill_n(padded_query, 2 * padded, 0.0f);
          const index t = segments[tile.segment].begin + tile.first_row + r;
          std::copy_n(q.row<float>(t) + (tile.first_head + h) * hd, hd, padded_query);
          running[count] = {padded_query, padded_query + padded, cache.position + tile.first_row + r};
        }
      }
      const index last = running[count - 1].last;
      for (index start = 0; start <= last; start += kPage) {
        const std::byte* page = cache.pages[start / kPage];
        const index present = std::min(kPage, last + 1 - start);
        const float* keys =
            page_rows(page + tile.kv_head * head_bytes, cache.format, cache.k_scale, present, hd, key_room);
        const float* values = page_rows(page + (shape.kv_heads + tile.kv_head) * head_bytes, cache.format,
                                        cache.v_scale, present, hd, value_room);
        for (Running& query : std::span(running, size_t(count))) {
          const index seen = std::min(kPage, query.last + 1 - start);
          if (seen > 0) add_page(query, keys, values, seen, padded, scale, start == 0);
        }
      }
      for (index j = 0; j < count; ++j) {
        const index t = segments[tile.segment].begin + tile.first_row + j / tile.heads;
        const V weight = hn::Set(D(), running[j].weight);
        transform(
            hd, y.row<float>(t) + (tile.first_head + j % tile.heads) * hd,
            [&](V v) HWY_ATTR { return hn::Div(v, weight); }, running[j].sum);
      }
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
