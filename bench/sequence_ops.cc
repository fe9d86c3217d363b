// Times each op that is no matrix product at Nano's and Super's shapes, beside the limits measured in the same run.
//
//   sequence_ops [--threads N] [--target NAME] [--seconds S] [--own-time] [FILTER]
//
// A row of work is called with data that rotates through as many layers as the model has, so that a decode step finds
// in cache what it would find there. `limit` is the time its bytes need at the measured bandwidth or its operations at
// the measured peak, whichever is longer; `%` says how much of that speed the least time reached. --own-time counts
// only what the calling thread computes, which is what one thread can be measured by on a machine that others keep
// busy.

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <numeric>
#include <string>

#include "measure.h"
#include "ops/ops.h"
#include "ops/peak.h"

namespace nemotron {
namespace {

struct Bench {
  Threads& threads;
  std::string filter;
  double seconds, bandwidth, peak;
  double (*clock)();
  Arena arena = {};
  const Backend& ops = cpu_backend();

  template <class F>
  void row(const std::string& name, double bytes, double operations, const F& f) {
    if (name.find(filter) == std::string::npos) return;
    const bench::Times t = bench::time_of(seconds, clock, f);
    const double limit = std::max(bytes / bandwidth, operations / peak);
    std::printf("| %-44s | %10.1f | %10.1f | %10.1f | %6.1f | %6.1f | %4.0f |\n", name.c_str(), t.least * 1e6,
                t.median * 1e6, limit * 1e6, bytes / t.least / 1e9, operations / t.least / 1e9, 100 * limit / t.least);
    std::fflush(stdout);
  }
};

// Numbers between -1 and 1, cheap to make.
std::vector<float> numbers(size_t count) {
  std::vector<float> v(count);
  uint32_t x = 1;
  for (float& f : v) f = float(int32_t(x = x * 1664525 + 1013904223)) * 0x1p-31f;
  return v;
}

// Activations that own their memory.
struct Table {
  std::vector<float> data;
  Rows rows;
  Table(index r, index c) : data(numbers(size_t(r * c))), rows{data.data(), Real::f32, r, c, c} {}
  Table(const Table&) = delete;
  Table(Table&&) = default;
};

struct Shapes {
  const char* name;
  index hidden, heads, kv_heads, head_dim;
  ScanShape scan;
  index mamba_layers;
  RouteShape route;
  index expert_input, expert_width;
};

constexpr Shapes kNano = {"nano", 2688, 32, 2, 128, {64, 64, 8, 128}, 23, {128, 6, 1, 1, true, 2.5}, 2688, 1856};
constexpr Shapes kSuper = {"super", 4096, 32, 2, 128, {128, 64, 8, 128}, 40, {512, 22, 1, 1, true, 5}, 1024, 2688};

const char* name_of(KvFormat f) { return f == KvFormat::real ? "f32" : f == KvFormat::bf16 ? "bf16" : "fp8"; }

// `rows` tokens behind `depth` others, in each of `layers` layers.
void attention(Bench& b, KvFormat format, index depth, index rows, int layers) {
  const AttentionShape shape{32, 2, 128};
  const auto size = double(kv_size(format, Real::f32));
  const size_t pages = size_t((depth + rows + kPage - 1) / kPage), page = size_t(2 * 2 * 128 * kPage * index(size));
  const std::string name =
      std::string("attention ") + name_of(format) + " at " + std::to_string(depth) + ", rows " + std::to_string(rows);
  if (name.find(b.filter) == std::string::npos) return;
  std::vector<std::vector<std::byte>> data;
  std::vector<std::vector<std::byte*>> addresses(static_cast<size_t>(layers));
  for (auto& layer : addresses) {
    for (size_t p = 0; p < pages; ++p) {
      data.emplace_back(page);
      layer.push_back(data.back().data());
    }
  }
  const Table q(rows, 32 * 128), y(rows, 32 * 128), k(kPage, 256), v(kPage, 256);
  const auto cache = [&](size_t layer, index position) {
    return KvCache{
        .pages = addresses[layer].data(), .format = format, .k_scale = 0.01f, .v_scale = 0.01f, .position = position};
  };
  for (size_t layer = 0; layer < size_t(layers); ++layer) {
    for (size_t p = 0; p < pages; ++p) {
      const Segment all{0, kPage, 0};
      const KvCache c = cache(layer, index(p) * kPage);
      b.ops.kv_store(b.threads, shape, k.rows, v.rows, {&all, 1}, {&c, 1});
    }
  }
  const Segment segment{0, rows, 0};
  const double seen = double(rows) * double(depth) + double(rows) * double(rows + 1) / 2;
  b.row(name, double(depth + rows) * 512 * size, seen * 32 * 128 * 4, [&](int i) {
    const KvCache c = cache(size_t(i % layers), depth);
    b.ops.attention(b.threads, b.arena, shape, q.rows, {&segment, 1}, {&c, 1}, y.rows);
  });
  if (depth > 0) return;
  const Table many(rows, 256);
  b.row("kv_store " + std::string(name_of(format)) + ", rows " + std::to_string(rows), double(rows) * 512 * (4 + size),
        0, [&](int i) {
          const KvCache c = cache(size_t(i % layers), depth);
          b.ops.kv_store(b.threads, shape, many.rows, many.rows, {&segment, 1}, {&c, 1});
        });
}

void scan(Bench& b, const Shapes& s, SsmFormat format, index rows) {
  const std::string name = std::string("ssm_scan ") + s.name + (format == SsmFormat::f16 ? " f16" : " f32") +
                           ", rows " + std::to_string(rows);
  if (name.find(b.filter) == std::string::npos) return;
  const auto& [heads, P, G, N] = s.scan;
  const Table xbc(rows, heads * P + 2 * G * N), dt(rows, heads), y(rows, heads * P);
  const Vector A_log(size_t(heads), 1.0f), D(size_t(heads), 1.0f), bias(size_t(heads), -2.0f);
  const size_t bytes = size_t(heads * P * N) * ssm_size(format, Real::f32);
  std::vector<std::vector<std::byte>> states(static_cast<size_t>(s.mamba_layers), std::vector<std::byte>(bytes));
  const Segment segment{0, rows, 0};
  const double work = double(rows) * double(heads * P * N);
  b.row(name, 2 * double(bytes) + double(rows * (2 * heads * P + 2 * G * N)) * 4, work * 5, [&](int i) {
    const SsmState state{states[size_t(i % s.mamba_layers)].data(), format, 1, 2, i};
    b.ops.ssm_scan(b.threads, b.arena, s.scan, xbc.rows, dt.rows, A_log, D, bias, 0, {&segment, 1}, {&state, 1},
                   y.rows);
  });
}

void mamba_rest(Bench& b, const Shapes& s, index rows) {
  const std::string of = std::string(" ") + s.name + ", rows " + std::to_string(rows);
  const index inner = s.scan.heads * s.scan.head_dim, channels = inner + 2 * s.scan.groups * s.scan.state_size;
  const Table projected(rows, inner + channels + s.scan.heads), y(rows, channels), normed(rows, inner);
  const Vector taps = numbers(size_t(channels * 4)), bias = numbers(size_t(channels)), weight(size_t(inner), 1.0f);
  std::vector<Table> tails;
  for (index layer = 0; layer < s.mamba_layers; ++layer) tails.emplace_back(3, channels);
  const Segment segment{0, rows, 0};
  b.row("causal_conv" + of, double(channels) * 4 * double(2 * rows + 4 + 6), double(rows * channels) * 8, [&](int i) {
    const Rows tail = tails[size_t(i % s.mamba_layers)].rows;
    b.ops.causal_conv(b.threads, projected.rows.col_range(inner, inner + channels), taps, bias, {&segment, 1},
                      {&tail, 1}, y.rows);
  });
  b.row("gated_rms_norm" + of, double(rows * inner) * 12, double(rows * inner) * 5, [&](int) {
    b.ops.gated_rms_norm(b.threads, y.rows.col_range(0, inner), projected.rows.col_range(0, inner), weight,
                         s.scan.groups, 1e-5, normed.rows);
  });
}

void pointwise(Bench& b, const Shapes& s, index rows) {
  const std::string of = std::string(" ") + s.name + ", rows " + std::to_string(rows);
  const Table x(rows, s.hidden), y(rows, s.hidden), up(rows * s.route.picks, s.expert_width);
  const Vector weight(size_t(s.hidden), 1.0f);
  b.row("rms_norm" + of, double(rows * s.hidden) * 8, double(rows * s.hidden) * 4,
        [&](int) { b.ops.rms_norm(b.threads, x.rows, weight, 1, 1e-5, y.rows); });
  b.row("add" + of, double(rows * s.hidden) * 12, double(rows * s.hidden),
        [&](int) { b.ops.add(b.threads, x.rows, y.rows); });
  b.row("relu2" + of, double(up.data.size()) * 8, double(up.data.size()) * 2,
        [&](int) { b.ops.relu2(b.threads, up.rows); });
}

void experts(Bench& b, const Shapes& s, index rows) {
  const std::string of = std::string(" ") + s.name + ", rows " + std::to_string(rows);
  const index picks = s.route.picks, E = s.route.experts, X = s.expert_input;
  const Table logits(rows, E), weight(rows, picks), x(rows * picks, X), y(rows, X);
  const Vector bias(size_t(E), 0.0f);
  std::vector<int32_t> expert(size_t(rows * picks));
  const Routes routes{expert, weight.rows};
  std::vector<index> slots(size_t(rows * picks)), tokens(slots.size());
  std::iota(slots.begin(), slots.end(), 0);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = index(i * 7919) % rows;
  b.ops.route(b.threads, s.route, logits.rows, bias, routes);
  b.row("route" + of, double(rows * E) * 4, double(rows * E) * 20,
        [&](int) { b.ops.route(b.threads, s.route, logits.rows, bias, routes); });
  b.row("combine" + of, double(rows * (picks + 1) * X) * 4, double(rows * picks * X) * 2,
        [&](int) { b.ops.combine(b.threads, E, routes, slots, x.rows, y.rows); });
  b.row("gather" + of, double(rows * picks * X) * 8, 0, [&](int) { b.ops.gather(b.threads, tokens, y.rows, x.rows); });
}

int run(int argc, char** argv) {
  int threads = Threads::physical_cores();
  double seconds = 0.3;
  std::string filter;
  bool own_time = false;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (i + 1 < argc && arg == "--threads")
      threads = std::atoi(argv[++i]);
    else if (i + 1 < argc && arg == "--target")
      set_cpu_target(argv[++i]);
    else if (i + 1 < argc && arg == "--seconds")
      seconds = std::atof(argv[++i]);
    else if (arg == "--own-time")
      own_time = true;
    else
      filter = arg;
  }
  Threads pool(threads);
  double (*const clock)() = own_time ? bench::own_time : bench::now;
  Bench b{pool, filter, seconds, measure_bandwidth(pool, clock), measure_fma_peak(pool), clock};
  std::printf("%s, %d threads: %.1f GB/s, %.1f GF/s\n\n", cpu_target().c_str(), threads, b.bandwidth / 1e9,
              b.peak / 1e9);
  std::printf("| %-44s | %10s | %10s | %10s | %6s | %6s | %4s |\n", "op", "least us", "median us", "limit us", "GB/s",
              "GF/s", "%");
  std::printf("|---|---|---|---|---|---|---|\n");
  for (const KvFormat format : {KvFormat::real, KvFormat::bf16, KvFormat::fp8}) {
    for (const index depth : {0, 1024, 16384 - 1}) attention(b, format, depth, 1, 4);
    attention(b, format, 16384 - 4, 4, 4);
    for (const index depth : {0, 16384}) attention(b, format, depth, 512, 1);
  }
  for (const Shapes& s : {kNano, kSuper}) {
    for (const index rows : {1, 512}) {
      for (const SsmFormat format : {SsmFormat::real, SsmFormat::f16}) scan(b, s, format, rows);
      mamba_rest(b, s, rows);
      pointwise(b, s, rows);
      experts(b, s, rows);
    }
  }
  return 0;
}

}  // namespace
}  // namespace nemotron

int main(int argc, char** argv) {
  try {
    return nemotron::run(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
