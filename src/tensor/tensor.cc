// Matrix: bytes of a row, names of formats, and the exact scalar decoding of a row.

#include "tensor/tensor.h"

#include <type_traits>

namespace nemotron {

const char* format_name(Format f) {
  static constexpr const char* names[] = {"F32", "BF16", "F16", "FP8", "NVFP4"};
  return names[size_t(f)];
}

double format_bits(Format f) {
  static constexpr double bits[] = {32, 16, 16, 8, 4.5};
  return bits[size_t(f)];
}

size_t Matrix::row_bytes() const {
  switch (format) {
    case Format::f32:
      return size_t(cols) * 4;
    case Format::bf16:
    case Format::f16:
      return size_t(cols) * 2;
    case Format::fp8:
      return size_t(cols);
    case Format::nvfp4:
      break;
  }
  return size_t(cols) / 2;
}

template <class T>
void decode_row(const Matrix& w, index row, index begin, index count, T* out) {
  const uint8_t* codes = w.data + size_t(row) * w.row_bytes();
  visit_format(w.format, [&](auto codec) {
    using Codec = decltype(codec);
    if constexpr (std::is_same_v<Codec, Nvfp4>) {
      const uint8_t* scales = w.block_scales + row * (w.cols / Nvfp4::kBlock);
      for (index i = 0; i < count; ++i) {
        const index c = begin + i;
        out[i] = T(Nvfp4::decode(Nvfp4::code(codes, c), scales[c / Nvfp4::kBlock]));
      }
    } else if constexpr (std::is_same_v<Codec, Fp8>) {
      for (index i = 0; i < count; ++i) out[i] = T(E4m3::decode(codes[begin + i]));
    } else {
      for (index i = 0; i < count; ++i) {
        typename Codec::Code code;
        std::memcpy(&code, codes + size_t(begin + i) * sizeof code, sizeof code);
        out[i] = T(Codec::decode(code));
      }
    }
  });
}

template void decode_row(const Matrix&, index, index, index, float*);
template void decode_row(const Matrix&, index, index, index, double*);

}  // namespace nemotron
