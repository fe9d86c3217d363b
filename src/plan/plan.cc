// Bytes of caches and states, work of a decode step and of a prompt, and the points where curves cross.

#include "plan/plan.h"

#include <algorithm>
#include <cmath>

namespace nemotron {
namespace {

// A linear piece of the number of tokens that attention layers see: sum over tokens begin .. end-1 of min(t + 1,
// window).
double seen_by(double begin, double end, uint64_t window) {
  const auto sum = [](double n) { return n * (n + 1) / 2; };
  if (window == 0) return sum(end) - sum(begin);
  const auto w = double(window);
  const double ramp_end = std::min(end, w), ramp_begin = std::min(begin, w);
  return sum(ramp_end) - sum(ramp_begin) + w * (end - ramp_end - (begin - ramp_begin));
}

double conv_columns(const RecurrentGroup& r, const CacheFormats& f) {
  if (r.conv_kernel == 0) return 0;
  return double(f.all_columns ? r.conv_kernel : r.conv_kernel - 1);
}

double bytes_a_number(NumberFormat f) { return format_bits(f) / 8; }

// Weights that one pass over `tokens` tokens reads and multiplies, `heads` of which go through the head.
void add_weights(const Architecture& a, const Machine& m, double tokens, double heads, Work& work) {
  for (const WeightGroup& g : a.weights) {
    if (g.part == Part::mtp || (g.part == Part::embedding && !g.multiplied)) continue;  // a few rows of a table
    const bool head = g.part == Part::head || g.part == Part::embedding;
    const double rows = head ? heads : tokens;
    if (rows == 0) continue;
    const double share = g.experts == 1 ? 1 : distinct_experts(g.experts, g.picks, rows) / double(g.experts);
    work.weight_bytes += share * g.bytes.real();
    if (!g.multiplied) continue;
    const double flops = 2 * g.active() * rows;
    work.matrix_flops += flops;
    work.seconds_compute += flops / m.peak(g.format);
  }
}

// Keys, values and states of `batch` sequences whose tokens begin .. end-1 go through the model at once.
void add_caches(const Architecture& a, const Workload& w, const Machine& m, double batch, double begin, double end,
                Work& work) {
  double flops = 0;
  for (const AttentionGroup& g : a.attention) {
    // Two products of 2 operations with every token seen.
    flops += 4 * double(g.layers) * double(g.heads) * double(g.head_dim) * seen_by(begin, end, g.window);
    const double before = g.window == 0 ? begin : std::min(begin, double(g.window));
    work.cache_bytes += batch * g.numbers_a_token().real() * bytes_a_number(w.formats.kv) * (before + (end - begin));
  }
  work.attention_flops += batch * flops;
  double recurrent = 0;
  for (const RecurrentGroup& r : a.recurrent) {
    const double conv = double(r.conv_channels) * conv_columns(r, w.formats);
    recurrent += double(r.layers) * (r.flops_a_number * double(r.state) + 2 * double(r.conv_channels * r.conv_kernel));
    const double bytes = double(r.state) * bytes_a_number(w.formats.state) + conv * bytes_a_number(w.formats.conv);
    work.state_bytes += 2 * batch * double(r.layers) * bytes;  // read and written
  }
  work.recurrent_flops += batch * recurrent * (end - begin);
  work.seconds_compute += batch * (flops + recurrent * (end - begin)) / m.bf16;
}

bool fits(const Architecture& a, const Workload& w, double capacity, const MemoryOf& memory) {
  try {
    return memory(a, w).total().real() <= capacity;
  } catch (const Error&) {  // more than can be counted
    return false;
  }
}

// The largest n in 1 .. most for which `holds` (true up to some point), 0 where it does not hold for 1.
template <class Holds>
uint64_t largest(uint64_t most, const Holds& holds) {
  uint64_t low = 0, high = most + 1;
  while (high - low > 1) {
    const uint64_t middle = low + (high - low) / 2;
    (holds(middle) ? low : high) = middle;
  }
  return low;
}

constexpr uint64_t kMostBatch = uint64_t{1} << 32, kMostContext = uint64_t{1} << 40;

}  // namespace

Count kv_bytes(const Architecture& a, NumberFormat kv, uint64_t context) {
  Count bytes;
  for (const AttentionGroup& g : a.attention) bytes += bytes_of(kv, g.numbers_a_token() * g.seen(context));
  return bytes;
}

Count kv_bytes_a_token(const Architecture& a, NumberFormat kv) {
  Count bytes;
  for (const AttentionGroup& g : a.attention)
    if (g.window == 0) bytes += bytes_of(kv, g.numbers_a_token());
  return bytes;
}

Count state_bytes(const Architecture& a, const CacheFormats& f) {
  Count bytes;
  for (const RecurrentGroup& r : a.recurrent) {
    bytes += bytes_of(f.state, Count(r.layers) * r.state);
    bytes += bytes_of(f.conv, Count(r.layers) * r.conv_channels * uint64_t(conv_columns(r, f)));
  }
  return bytes;
}

Memory deployment_memory(const Architecture& a, const Workload& w) {
  Memory m;
  m.weights = weight_bytes(a, w.with_mtp);
  m.kv = kv_bytes(a, w.formats.kv, w.context) * w.batch;
  m.state = state_bytes(a, w.formats) * w.batch;
  const uint64_t rows = std::max(w.batch, std::min(w.prefill_chunk, w.context));
  m.activations = Count(2) * a.activations * rows + Count(4) * a.vocabulary * w.batch;
  return m;
}

Work& Work::operator+=(const Work& o) {
  tokens += o.tokens;
  matrix_flops += o.matrix_flops, attention_flops += o.attention_flops, recurrent_flops += o.recurrent_flops;
  weight_bytes += o.weight_bytes, cache_bytes += o.cache_bytes, state_bytes += o.state_bytes;
  seconds_compute += o.seconds_compute, seconds_memory += o.seconds_memory;
  return *this;
}

double distinct_experts(uint64_t experts, uint64_t picks, double tokens) {
  const auto E = double(experts);
  // 1 - (1 - p)^n without losing small p
  return picks >= experts ? E : -E * std::expm1(tokens * std::log1p(-double(picks) / E));
}

Work decode_step(const Architecture& a, const Workload& w, const Machine& m) {
  const auto B = double(w.batch), n = double(w.context);
  Work work;
  work.tokens = B;
  add_weights(a, m, B, B, work);
  add_caches(a, w, m, B, n, n + 1, work);
  work.seconds_memory = work.bytes() / m.bandwidth;
  return work;
}

Prefill prefill(const Architecture& a, const Workload& w, const Machine& m) {
  const auto B = double(w.batch), n = double(w.context), C = double(w.prefill_chunk);
  Prefill out;
  const auto pass = [&](double begin, double end, double heads) {
    Work work;
    work.tokens = B * (end - begin);
    add_weights(a, m, work.tokens, heads, work);
    add_caches(a, w, m, B, begin, end, work);
    work.seconds_memory = work.bytes() / m.bandwidth;
    return work;
  };
  // All passes but the last are alike but for the tokens before them, on which bytes and operations depend linearly
  // beyond the windows: where there are many, so many of them stand for several each.
  const double passes = std::max(std::ceil(n / C), 1.0), many = 4096;
  const double step = std::max(1.0, std::floor((passes - 1) / many));
  for (double i = 0; i < passes - 1; i += step) {
    const double stands_for = std::min(step, passes - 1 - i), middle = i + (stands_for - 1) / 2;
    Work one = pass(middle * C, (middle + 1) * C, 0);
    const double seconds = one.seconds();
    for (double* v : {&one.tokens, &one.matrix_flops, &one.attention_flops, &one.recurrent_flops, &one.weight_bytes,
                      &one.cache_bytes, &one.state_bytes, &one.seconds_compute, &one.seconds_memory})
      *v *= stands_for;
    out.work += one;
    out.seconds += stands_for * seconds;
  }
  const Work last = pass((passes - 1) * C, n, B);
  out.work += last;
  out.seconds += last.seconds();
  return out;
}

std::optional<uint64_t> compute_bound_batch(const Architecture& a, const Workload& w, const Machine& m) {
  // Computing less reading is convex in the batch and negative at 0: it changes its sign once, or never.
  const auto bound = [&](uint64_t batch) {
    Workload of = w;
    of.batch = batch;
    return decode_step(a, of, m).compute_bound();
  };
  const uint64_t below = largest(kMostBatch, [&](uint64_t batch) { return !bound(batch); });
  if (below >= kMostBatch) return {};
  return below + 1;
}

uint64_t largest_batch(const Architecture& a, const Workload& w, double capacity, const MemoryOf& memory) {
  return largest(kMostBatch, [&](uint64_t batch) {
    Workload of = w;
    of.batch = batch;
    return fits(a, of, capacity, memory);
  });
}

uint64_t longest_context(const Architecture& a, const Workload& w, double capacity, const MemoryOf& memory) {
  return largest(kMostContext, [&](uint64_t context) {
    Workload of = w;
    of.context = context;
    return fits(a, of, capacity, memory);
  });
}

Machine times(const Machine& m, uint64_t count) {
  Machine out = m;
  if (count != 1) out.name = out.title = std::to_string(count) + " x " + m.name;
  for (double* v : {&out.capacity, &out.bandwidth, &out.bf16, &out.fp8, &out.fp4}) *v *= double(count);
  return out;
}

std::vector<Crossing> crossings(const Architecture& a, const Architecture& b, const CacheFormatsOfTwo& f) {
  // The difference is linear between the contexts at which windows end.
  std::vector<uint64_t> ends = {0};
  for (const Architecture* one : {&a, &b})
    for (const AttentionGroup& g : one->attention) ends.push_back(g.window);
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  const auto difference = [&](double n) {
    double bytes = (f.count_a ? state_bytes(a, f.a).real() : 0) - (f.count_b ? state_bytes(b, f.b).real() : 0);
    for (const auto& [one, sign] : {std::pair(&a, 1.0), std::pair(&b, -1.0)})
      for (const AttentionGroup& g : one->attention) {
        const double seen = g.window == 0 ? n : std::min(n, double(g.window));
        bytes += sign * g.numbers_a_token().real() * bytes_a_number(f.kv) * seen;
      }
    return bytes;
  };
  std::vector<Crossing> out;
  for (size_t i = 0; i < ends.size(); ++i) {
    const bool last = i + 1 == ends.size();
    const auto begin = double(ends[i]);
    const double end = last ? begin + 1 : double(ends[i + 1]);
    const double at_begin = difference(begin), slope = (difference(end) - at_begin) / (end - begin);
    if (slope == 0 || at_begin == 0) continue;
    const double at = begin - at_begin / slope;
    if (at > begin && (last || at <= end)) out.push_back({at, slope < 0});
  }
  return out;
}

}  // namespace nemotron
