// Sums and products of sizes from outside, which say when they do not fit.

#pragma once

#include <cstdint>
#include <optional>

namespace nemotron {

inline std::optional<uint64_t> checked_add(uint64_t a, uint64_t b) {
  uint64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return {};
  return sum;
}

inline std::optional<uint64_t> checked_multiply(uint64_t a, uint64_t b) {
  uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return {};
  return product;
}

}  // namespace nemotron
