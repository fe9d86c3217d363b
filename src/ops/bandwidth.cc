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
constexpr int64_t kPiece = 1 << 17;  // words: 1 MiB

// A buffer that no cache holds, in words; a whole number of pieces.
int64_t buffer_words() {
  const long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
  const double wanted = std::clamp(4.0 * double(std::max(cache, 0L)), 256 * kMiB, 1024 * kMiB);
  const double bytes = std::max(16 * kMiB, std::min(wanted, double(available_memory()) / 4));
  return int64_t(bytes / kMiB) * kPiece;
}

uint64_t sum_of(const uint64_t* words, int64_t count) {
  uint64_t sums[8] = {};
  for (int64_t i = 0; i < count; i += 8)
    for (int64_t j = 0; j < 8; ++j) sums[j] += words[i + j];
  uint64_t sum = 0;
  for (const uint64_t s : sums) sum += s;
  return sum;
}

}  // namespace

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double measure_bandwidth(Threads& threads, double (*clock)()) {
  const int64_t words = buffer_words();
  const std::unique_ptr<uint64_t[]> buffer(new uint64_t[size_t(words)]);
  threads.parallel(words, kPiece, [&](int64_t begin, int64_t end, int) {
    std::memset(buffer.get() + begin, 1, size_t(end - begin) * sizeof(uint64_t));
  });
  std::atomic<uint64_t> total{0};
  double best = 0;
  const double start = wall_seconds();
  for (int run = 0; run < 20; ++run) {
    const double before = clock();
    threads.parallel(words, kPiece,
                     [&](int64_t begin, int64_t end, int) { total += sum_of(buffer.get() + begin, end - begin); });
    best = std::max(best, double(words) * sizeof(uint64_t) / (clock() - before));
    if (run >= 2 && wall_seconds() - start > 0.4) break;
  }
  return best;
}

}  // namespace nemotron
