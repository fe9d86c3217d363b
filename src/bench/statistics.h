// Mean, spread and median of a few samples.

#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace nemotron {

// All of nothing are 0.
struct Statistics {
  double mean = 0;
  double sd = 0;  // of the sample: over n - 1; 0 for one
  double median = 0, least = 0, greatest = 0;
};

inline Statistics statistics(std::vector<double> samples) {
  Statistics s;
  const size_t n = samples.size();
  if (n == 0) return s;
  std::sort(samples.begin(), samples.end());
  for (const double x : samples) s.mean += x / double(n);
  double squares = 0;
  for (const double x : samples) squares += (x - s.mean) * (x - s.mean);
  if (n > 1) s.sd = std::sqrt(squares / double(n - 1));
  s.median = n % 2 ? samples[n / 2] : (samples[n / 2 - 1] + samples[n / 2]) / 2;
  s.least = samples.front(), s.greatest = samples.back();
  return s;
}

}  // namespace nemotron
