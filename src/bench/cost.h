// What a piece of work must read and compute, and the least time that a machine's limits leave it.

#pragma once

#include <algorithm>

namespace nemotron {

struct Cost {
  double bytes = 0;  // of weights, caches and states that must be read or written; activations are not counted
  double f32 = 0;    // operations in float32: two for each multiply-add of a product
  double int8 = 0;   // operations on NVFP4 weights and int8 activations

  double operations() const { return f32 + int8; }
  Cost& operator+=(const Cost& o) {
    bytes += o.bytes, f32 += o.f32, int8 += o.int8;
    return *this;
  }
};

// Measured with `threads` threads; bytes and operations a second.
struct Limits {
  int threads = 0;
  double bandwidth = 0, f32 = 0, int8 = 0;
  double cached = 0;  // where the last cache may hold all weights: of as many bytes again and again; otherwise 0

  double reading() const { return cached > 0 ? cached : bandwidth; }
  double memory_seconds(const Cost& c) const { return c.bytes / reading(); }
  double compute_seconds(const Cost& c) const { return c.f32 / f32 + c.int8 / int8; }
  // The roofline: reading and computing go on at once, and the slower one decides.
  double seconds(const Cost& c) const { return std::max(memory_seconds(c), compute_seconds(c)); }
};

}  // namespace nemotron
