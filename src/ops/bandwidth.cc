// The read bandwidth of this machine, measured.

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>

#include "base/memory.h"
#include "ops/peak.h"

namespace nemotron {
namespace {

constexpr double kMiB = 1 << 20;
constexpr int64_t kRound = 8;  // words that are summed side by side

uint64_t sum_of(const uint64_t* words, int64_t count) {
  uint64_t sums[kRound] = {};
  for (int64_t i = 0; i < count; i += kRound)
    for (int64_t j = 0; j < kRound; ++j) sums[j] += words[i + j];
  uint64_t sum = 0;
  for (const uint64_t s : sums) sum += s;
  return sum;
}

// The best of some passes over a buffer, at least three of them and `seconds` in all. Threads take `piece` words at a
// time, of the buffer, whose size is a whole number of rounds.
double best_pass(Threads& threads, int64_t words, int64_t piece, double seconds, double (*clock)()) {
  const std::unique_ptr<uint64_t[]> buffer(new uint64_t[size_t(words)]);
  threads.parallel(words, piece, [&](int64_t begin, int64_t end, int) {
    std::memset(buffer.get() + begin, 1, size_t(end - begin) * sizeof(uint64_t));
  });
  std::atomic<uint64_t> total{0};
  double best = 0;
  const double start = wall_seconds();
  for (int pass = 0; pass < 3 || wall_seconds() - start < seconds; ++pass) {
    const double before = clock();
    threads.parallel(words, piece,
                     [&](int64_t begin, int64_t end, int) { total += sum_of(buffer.get() + begin, end - begin); });
    best = std::max(best, double(words) * sizeof(uint64_t) / (clock() - before));
  }
  return best;
}

}  // namespace

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

uint64_t last_cache() {
  for (const int level : {_SC_LEVEL3_CACHE_SIZE, _SC_LEVEL2_CACHE_SIZE})
    if (const long size = sysconf(level); size > 0) return uint64_t(size);
  return 0;
}

double measure_bandwidth(Threads& threads, double (*clock)()) {
  constexpr int64_t piece = 1 << 17;  // 1 MiB
  const double wanted = std::clamp(4.0 * double(last_cache()), 256 * kMiB, 1024 * kMiB);
  const double bytes = std::max(16 * kMiB, std::min(wanted, double(available_memory()) / 4));
  return best_pass(threads, int64_t(bytes / kMiB) * piece, piece, 0.4, clock);
}

double measure_bandwidth_of(Threads& threads, uint64_t bytes) {
  const auto up = [](int64_t n) { return (n + kRound - 1) / kRound * kRound; };
  const int64_t words = up(std::max<int64_t>(int64_t(bytes / sizeof(uint64_t)), 1));
  return best_pass(threads, words, up(words / (4 * threads.count()) + 1), 0.2, wall_seconds);
}

}  // namespace nemotron
