// Count: a number of bytes or parameters whose sums and products refuse to overflow.

#pragma once

#include <cstdint>

#include "base/checked.h"
#include "base/error.h"

namespace nemotron {

class Count {
 public:
  constexpr Count(uint64_t n = 0) : n_(n) {}

  // Throw Error where the result does not fit in 64 bits.
  friend Count operator+(Count a, Count b) { return fitting(checked_add(a.n_, b.n_)); }
  friend Count operator*(Count a, Count b) { return fitting(checked_multiply(a.n_, b.n_)); }
  Count& operator+=(Count other) { return *this = *this + other; }

  friend constexpr auto operator<=>(const Count&, const Count&) = default;
  constexpr uint64_t value() const { return n_; }
  constexpr double real() const { return double(n_); }

 private:
  static Count fitting(std::optional<uint64_t> n) {
    if (n) return *n;
    throw Error({.what = "a figure of the plan does not fit in 64 bits",
                 .expected = "less than 18 exabytes",
                 .hint = "a smaller --context or --batch, or another config.json"});
  }
  uint64_t n_;
};

}  // namespace nemotron
