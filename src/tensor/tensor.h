// Views of numbers: activations as rows, weights as matrices in their checkpoint's own format.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "formats/element.h"
#include "formats/scaled.h"

namespace nemotron {

using index = int64_t;  // sizes and positions, signed so that differences are harmless

// What activations are made of: float on the CPU backend, double on the reference backend.
enum class Real : uint8_t { f32, f64 };
template <class T>
constexpr Real real_of();
template <>
constexpr Real real_of<float>() {
  return Real::f32;
}
template <>
constexpr Real real_of<double>() {
  return Real::f64;
}
constexpr size_t real_size(Real r) { return r == Real::f32 ? 4 : 8; }

// Activations: `rows` rows of `cols` numbers, row r at data + r * stride numbers. A view: it owns nothing.
struct Rows {
  void* data = nullptr;
  Real real = Real::f32;
  index rows = 0, cols = 0, stride = 0;

  template <class T>
  T* row(index r) const {
    return static_cast<T*>(data) + r * stride;
  }
  Rows row_range(index begin, index end) const { return {at(begin, 0), real, end - begin, cols, stride}; }
  Rows col_range(index begin, index end) const { return {at(0, begin), real, rows, end - begin, stride}; }

 private:
  void* at(index r, index c) const { return static_cast<char*>(data) + size_t(r * stride + c) * real_size(real); }
};

// How a weight matrix is stored.
enum class Format : uint8_t { f32, bf16, f16, fp8, nvfp4 };
const char* format_name(Format f);
double format_bits(Format f);  // bits a weight, block scales counted: 32, 16, 16, 8, 4.5

// A weight matrix W [rows, cols] (out, in), row-major, as it lies in the mapped file; nothing here is aligned.
// The value of an element is decode(code) * scale for fp8, e2m1 * block scale * scale for nvfp4, decode(code)
// otherwise.
struct Matrix {
  const uint8_t* data = nullptr;          // codes; nvfp4: [rows, cols/2] bytes, low nibble first
  const uint8_t* block_scales = nullptr;  // nvfp4: E4M3 [rows, cols/16]
  float scale = 1;                        // fp8, nvfp4: one a tensor
  Format format = Format::f32;
  int k_segments = 1;  // the columns are summed in so many equal runs (model/weights.h says why)
  index rows = 0, cols = 0;

  bool empty() const { return data == nullptr; }
  size_t row_bytes() const;
};

// A small weight (norms, biases, convolution taps), widened to float32 when it is loaded.
using Vector = std::vector<float>;

// Calls f with the codec of a plain or scaled format: the one switch over formats.
// f is a template or a generic lambda taking one of F32, Bf16, F16, Fp8, Nvfp4.
template <class Function>
decltype(auto) visit_format(Format format, Function&& f) {
  switch (format) {
    case Format::f32:
      return f(F32{});
    case Format::bf16:
      return f(Bf16{});
    case Format::f16:
      return f(F16{});
    case Format::fp8:
      return f(Fp8{});
    case Format::nvfp4:
      break;
  }
  return f(Nvfp4{});
}

// The values of W[row, begin .. begin+count) without the tensor scale, exact, as float or double.
template <class T>
void decode_row(const Matrix& w, index row, index begin, index count, T* out);

}  // namespace nemotron
