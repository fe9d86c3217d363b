// Random weight matrices in every format, for tests.

#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "tensor/tensor.h"

namespace nemotron::test {

using Rng = std::mt19937_64;

inline index pick(Rng& rng, std::initializer_list<index> values) {
  return *(values.begin() + std::uniform_int_distribution<size_t>(0, values.size() - 1)(rng));
}

// Owns the bytes of matrices.
using Storage = std::vector<std::unique_ptr<std::vector<uint8_t>>>;

// Bytes at an odd address, as in a mapped file, with nothing after them.
inline uint8_t* take(Storage& storage, size_t size) {
  storage.push_back(std::make_unique<std::vector<uint8_t>>(size + 3));
  return storage.back()->data() + 3;
}

// N(0, gain^2 / cols) rounded to a format. NVFP4 falls back to BF16 where the columns are no whole blocks.
inline Matrix random_matrix(Rng& rng, index rows, index cols, Format format, float gain, Storage& storage) {
  if (format == Format::nvfp4 && cols % Nvfp4::kBlock) format = Format::bf16;
  Matrix w{.format = format, .rows = rows, .cols = cols};
  std::normal_distribution<float> normal(0, gain / std::sqrt(float(cols)));
  std::vector<float> values(size_t(rows * cols));
  for (float& v : values) v = normal(rng);
  uint8_t* data = take(storage, size_t(rows) * w.row_bytes());
  w.data = data;
  float amax = 1e-9f;
  for (const float v : values) amax = std::max(amax, std::fabs(v));
  switch (format) {
    case Format::f32:
      std::memcpy(data, values.data(), values.size() * 4);
      break;
    case Format::bf16:
    case Format::f16:
      for (size_t i = 0; i < values.size(); ++i) {
        const uint16_t code = format == Format::bf16 ? Bf16::encode(values[i]) : F16::encode(values[i]);
        std::memcpy(data + 2 * i, &code, 2);
      }
      break;
    case Format::fp8:
      w.scale = Fp8::tensor_scale(amax);
      for (size_t i = 0; i < values.size(); ++i) data[i] = Fp8::encode(values[i], w.scale);
      break;
    case Format::nvfp4: {
      w.scale = Nvfp4::tensor_scale(amax);
      uint8_t* scales = take(storage, values.size() / Nvfp4::kBlock);
      w.block_scales = scales;
      for (size_t b = 0; b < values.size() / Nvfp4::kBlock; ++b) {
        float most = 0;
        for (int i = 0; i < Nvfp4::kBlock; ++i) most = std::max(most, std::fabs(values[b * 16 + size_t(i)]));
        scales[b] = Nvfp4::block_scale(most, w.scale);
        Nvfp4::encode_block(&values[b * 16], scales[b], w.scale, data + b * 8);
      }
      break;
    }
  }
  return w;
}

// Any finite codes of a format: subnormals and both zeros as well as the largest; floats stay within 2^-40 .. 2^40, so
// that sums neither overflow nor vanish.
inline Matrix random_codes(Rng& rng, index rows, index cols, Format format, Storage& storage) {
  Matrix w{.format = format, .rows = rows, .cols = cols};
  uint8_t* data = take(storage, size_t(rows) * w.row_bytes());
  w.data = data;
  const auto count = size_t(rows * cols);
  const auto finite_fp8 = [&] {
    const auto code = uint8_t(rng());
    return (code & 0x7F) == 0x7F ? uint8_t(code - 1) : code;
  };
  const auto some_float = [&] {
    const float v = std::ldexp(std::uniform_real_distribution<float>(-2, 2)(rng), int(rng() % 80) - 40);
    return rng() % 16 == 0 ? bits_float(uint32_t(rng()) & 0x800FFFFF) : v;
  };
  switch (format) {
    case Format::f32:
      for (size_t i = 0; i < count; ++i) {
        const float v = some_float();
        std::memcpy(data + 4 * i, &v, 4);
      }
      break;
    case Format::bf16:
    case Format::f16:
      for (size_t i = 0; i < count; ++i) {
        uint16_t code = format == Format::bf16 ? Bf16::encode(some_float()) : uint16_t(rng());
        if (format == Format::f16 && (code & 0x7C00) == 0x7C00) code &= 0x83FF;
        std::memcpy(data + 2 * i, &code, 2);
      }
      break;
    case Format::fp8:
      w.scale = 0.037f;
      for (size_t i = 0; i < count; ++i) data[i] = finite_fp8();
      break;
    case Format::nvfp4: {
      w.scale = 0.0013f;
      for (size_t i = 0; i < count / 2; ++i) data[i] = uint8_t(rng());
      uint8_t* scales = take(storage, count / Nvfp4::kBlock);
      w.block_scales = scales;
      for (size_t b = 0; b < count / Nvfp4::kBlock; ++b) scales[b] = finite_fp8() & 0x7F;
      break;
    }
  }
  return w;
}

}  // namespace nemotron::test
