// The limits of this machine, measured in the run that quotes them, and the time of a piece of work.

#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <memory>
#include <vector>

#include "base/threads.h"

namespace nemotron::bench {

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The calling thread's own time: what a piece of work costs on a machine that others keep busy.
inline double own_time() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return double(t.tv_sec) + double(t.tv_nsec) * 1e-9;
}

// Bytes a second of the best of some streaming reads over 256 MiB.
template <class Clock>
double measure_bandwidth(Threads& threads, const Clock& clock) {
  constexpr int64_t words = 256 << 17, piece = 1 << 17;
  const std::unique_ptr<uint64_t[]> data(new uint64_t[size_t(words)]);
  std::memset(data.get(), 1, size_t(words) * 8);
  std::atomic<uint64_t> total{0};
  double best = 0;
  for (int run = 0; run < 8; ++run) {
    const double start = clock();
    threads.parallel(words, piece, [&](int64_t begin, int64_t end, int) {
      uint64_t sums[8] = {};
      for (int64_t i = begin; i < end; i += 8)
        for (int64_t j = 0; j < 8; ++j) sums[j] += data[size_t(i + j)];
      for (const uint64_t s : sums) total += s;
    });
    best = std::max(best, double(words) * 8 / (clock() - start));
  }
  return best;
}

// Seconds of one call of f(i), i = 0, 1, ...: the least and the median of what fits into `seconds`, at least five.
struct Times {
  double least, median;
};

template <class Clock, class F>
Times time_of(double seconds, const Clock& clock, const F& f) {
  std::vector<double> all;
  int i = 0;
  f(i++);
  for (const double end = now() + seconds; now() < end || all.size() < 5;) {
    const double start = clock();
    f(i++);
    all.push_back(clock() - start);
  }
  std::sort(all.begin(), all.end());
  return {all.front(), all[all.size() / 2]};
}

}  // namespace nemotron::bench
