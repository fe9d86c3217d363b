// Times matrix products alone, at Nano's and Super's shapes, beside the limits measured in the same run.
//
//   matrix_products [--threads N] [--target NAME] [--seconds S] [--exact] [FILTER]
//
// The weights of a row of work rotate through more copies than the caches hold, as a model's layers do. GB/s counts the
// bytes of the weights once a call, GOP/s two operations a weight and row; beside them stands their share of the
// measured bandwidth and of the peak: of float32 multiply-adds, or for NVFP4 with int8 activations of int8 ones. One
// thread is timed by its own clock, so that a busy machine disturbs it less.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "measure.h"
#include "ops/ops.h"
#include "ops/peak.h"

namespace nemotron {
namespace {

struct Options {
  int threads = 1;
  double seconds = 0.2;
  std::string filter;
  Activations activations = Activations::int8;
};

struct Shape {
  const char* name;
  index rows, cols;
  int experts, k_segments;  // experts: so many matrices in one call, the rows of x spread over them
};

constexpr Shape kShapes[] = {{"nano in_proj", 10304, 2688, 1, 1},     {"nano out_proj", 2688, 4096, 1, 8},
                             {"nano expert up", 1856, 2688, 128, 1},  {"nano expert down", 2688, 1856, 128, 1},
                             {"nano shared down", 2688, 3712, 1, 8},  {"nano router", 128, 2688, 1, 1},
                             {"super in_proj", 18560, 4096, 1, 1},    {"super out_proj", 4096, 8192, 1, 8},
                             {"super expert up", 2688, 1024, 512, 1}, {"super expert down", 1024, 2688, 512, 1},
                             {"lm_head", 131072, 2688, 1, 1}};

// Random bytes that are finite in every format.
struct Weights {
  std::vector<uint8_t> codes, scales;
  std::vector<Matrix> matrices;
  Weights(const Shape& s, Format format, size_t least) {
    Matrix m{.scale = 0.01f, .format = format, .k_segments = s.k_segments, .rows = s.rows, .cols = s.cols};
    const size_t size = size_t(s.rows) * m.row_bytes(), blocks = size_t(s.rows * s.cols / 16);
    size_t count = size_t(s.experts);
    if (s.experts == 1) count = least / size + 1;
    if (s.experts > 1) count = std::min<size_t>(count, least * 4 / size + 1);
    codes.resize(size * count);
    uint32_t r = 1;
    for (uint8_t& c : codes) c = uint8_t((r = r * 1664525 + 1013904223) >> 24 & 0xBB);
    if (format == Format::nvfp4) scales.resize(blocks * count);
    for (uint8_t& c : scales) c = uint8_t(48 + ((r = r * 1664525 + 1013904223) >> 28));
    for (size_t i = 0; i < count; ++i) {
      m.data = codes.data() + i * size;
      m.block_scales = format == Format::nvfp4 ? scales.data() + i * blocks : nullptr;
      matrices.push_back(m);
    }
  }
  size_t bytes() const { return (codes.size() + scales.size()) / matrices.size(); }
};

void run(const Options& o, Threads& threads, double bandwidth, double fma_peak, double int8_peak) {
  Arena arena;
  for (const Format format : {Format::nvfp4, Format::fp8, Format::bf16, Format::f32}) {
    for (const Shape& s : kShapes) {
      const bool int8 = format == Format::nvfp4 && o.activations == Activations::int8;
      const double peak = int8 ? int8_peak : fma_peak;
      const std::string shape = std::string(format_name(format)) + " " + s.name;
      std::vector<index> rows = {1, 2, 4, 8, 16, 24, 128, 512};
      if (s.experts > 1) rows = {1, 4, 24};
      bool any = false;
      const auto name_of = [&](index t) { return shape + " x" + std::to_string(t) + " "; };
      for (const index t : rows) any |= name_of(t).find(o.filter) != std::string::npos;
      if (!any) continue;
      const Weights w(s, format, size_t{96} << 20);
      const size_t copies = w.matrices.size();
      for (const index t : rows) {
        if (name_of(t).find(o.filter) == std::string::npos) continue;
        // Experts: as many as a batch of t rows each would use; a decode step picks six.
        const size_t used = s.experts == 1 ? 1 : t == 1 ? std::min<size_t>(6, copies) : std::min<size_t>(copies, 32);
        const index all = t * index(used);
        std::vector<float> x(size_t(all * s.cols)), y(size_t(all * s.rows));
        uint32_t r = 1;
        for (float& v : x) v = float(int32_t(r = r * 1664525 + 1013904223)) * 0x1p-31f;
        const auto call = [&](int i) {
          std::vector<Group> groups;
          for (size_t e = 0; e < used; ++e)
            groups.push_back({&w.matrices[(size_t(i) * used + e) % copies], index(e) * t, index(e + 1) * t});
          cpu_backend().linear(threads, arena, groups, {x.data(), Real::f32, all, s.cols, s.cols},
                               {y.data(), Real::f32, all, s.rows, s.rows}, o.activations);
        };
        const bench::Times times = o.threads == 1 ? bench::time_of(o.seconds, bench::own_time, call)
                                                  : bench::time_of(o.seconds, bench::now, call);
        const double bytes = double(w.bytes()) * double(used),
                     operations = 2.0 * double(s.rows) * double(s.cols) * double(all);
        std::printf("| %-28s | %10.1f | %10.1f | %6.1f | %4.0f%% | %7.1f | %4.0f%% |\n", name_of(t).c_str(),
                    times.least * 1e6, times.median * 1e6, bytes / times.least / 1e9,
                    100 * bytes / times.least / bandwidth, operations / times.least / 1e9,
                    100 * operations / times.least / peak);
        std::fflush(stdout);
      }
    }
  }
}

}  // namespace
}  // namespace nemotron

int main(int argc, char** argv) {
  using namespace nemotron;
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string a = argv[i];
    if (a == "--threads" && i + 1 < argc)
      o.threads = std::atoi(argv[++i]);
    else if (a == "--target" && i + 1 < argc)
      set_cpu_target(argv[++i]);
    else if (a == "--seconds" && i + 1 < argc)
      o.seconds = std::atof(argv[++i]);
    else if (a == "--exact")
      o.activations = Activations::real;
    else
      o.filter = a;
  }
  Threads threads(o.threads);
  const double bandwidth =
      o.threads == 1 ? measure_bandwidth(threads, bench::own_time) : measure_bandwidth(threads, bench::now);
  const double fma = measure_fma_peak(threads), int8 = measure_int8_peak(threads);
  std::printf("%s, %d threads: %.1f GB/s, float32 %.0f GOP/s, int8 %.0f GOP/s\n\n", cpu_target().c_str(), o.threads,
              bandwidth / 1e9, fma / 1e9, int8 / 1e9);
  std::printf("| product and rows              | least us   | median us  | GB/s   |  of   | GOP/s   |  of   |\n");
  run(o, threads, bandwidth, fma, int8);
}
