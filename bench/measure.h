// The time of a piece of work, by one of two clocks.

#pragma once

#include <algorithm>
#include <ctime>
#include <vector>

#include "ops/peak.h"

namespace nemotron::bench {

inline double now() { return wall_seconds(); }

// The calling thread's own time: what a piece of work costs on a machine that others keep busy.
inline double own_time() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return double(t.tv_sec) + double(t.tv_nsec) * 1e-9;
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
