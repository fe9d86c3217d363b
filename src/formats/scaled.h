// Formats whose codes need scales: FP8 with one scale a tensor, NVFP4 with one a block of 16 and one a tensor
// (spec/model.md 8.1; spec/training.md 1.2, 1.10); and the int8 blocks of activations.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "formats/element.h"

namespace nemotron {

// NVFP4: value = e2m1(code) * e4m3(block scale) * tensor scale. Two codes a byte, the even column in the low nibble;
// blocks of 16 columns; block scales are row-major, not swizzled.
struct Nvfp4 {
  static constexpr int kBlock = 16;

  static uint8_t code(const uint8_t* row, int64_t column) { return uint8_t(row[column / 2] >> (column % 2 * 4) & 15); }

  // The value before the tensor scale: at most six significant bits, so exact in float32 (and in BF16).
  static float decode(uint8_t code, uint8_t block_scale) { return E2m1::decode(code) * E4m3::decode(block_scale); }

  // ModelOpt's exporter (spec/model.md 8.1). weight_scale_2 = amax / 2688, which underflows to 0 for the tiniest
  // tensors; they are then divided by 1, so that their codes are zeros and not infinities.
  static float tensor_scale(float amax) { return amax / (E2m1::kMax * E4m3::kMax); }
  static uint8_t block_scale(float block_amax, float tensor_scale) {
    if (block_amax == 0) return 0x38;  // 1.0, as the exporter writes for a block of zeros
    const float s = block_amax / (E2m1::kMax * divisor(tensor_scale));
    return E4m3::encode(std::clamp(s, 0x1p-9f, E4m3::kMax));
  }
  // Codes of one block of 16 values into 8 bytes. Unlike E2m1::encode, -0.0 gives code 0, as the exporter does.
  static void encode_block(const float* x, uint8_t block_scale, float tensor_scale, uint8_t* bytes) {
    const float step = E4m3::decode(block_scale) * divisor(tensor_scale);
    for (int i = 0; i < kBlock; i += 2) {
      const auto one = [&](float v) { return v == 0 ? uint8_t{0} : E2m1::encode(v / step); };
      bytes[i / 2] = uint8_t(one(x[i]) | one(x[i + 1]) << 4);
    }
  }

 private:
  static float divisor(float tensor_scale) { return tensor_scale == 0 ? 1 : tensor_scale; }
};

// FP8 per tensor: value = e4m3(code) * scale.
struct Fp8 {
  // ModelOpt's exporter: scale = amax / 448; the quotient is rounded to BF16 first, then to E4M3.
  static float tensor_scale(float amax) { return amax / E4m3::kMax; }
  static uint8_t encode(float x, float scale) { return E4m3::encode(Bf16::decode(Bf16::encode(x / scale))); }
};

// Activations beside NVFP4 weights: int8 codes in blocks of 16 columns with a float32 scale each; value = code * scale.
// All in float32, so that every implementation finds the same codes.
struct Int8Block {
  static constexpr int kBlock = 16;
  // Below this a block counts as zeros: 127 / amax would overflow soon after.
  static constexpr float kLeast = 0x1p-100f;

  // Of a block whose largest magnitude is `amax`; NaN where the block holds a number that is not finite.
  static float scale(float amax) {
    if (!(amax <= std::numeric_limits<float>::max())) return std::numeric_limits<float>::quiet_NaN();
    return amax < kLeast ? 0 : amax / 127;
  }
  // Codes = x * factor(amax), to the nearest integer, ties to even.
  static float factor(float amax) {
    return amax >= kLeast && amax <= std::numeric_limits<float>::max() ? 127 / amax : 0;
  }
  static float encode_block(const float* x, int8_t* codes) {  // returns the scale
    float amax = 0;
    for (int i = 0; i < kBlock; ++i)
      amax = std::isnan(x[i]) ? x[i] : std::isnan(amax) ? amax : std::max(amax, std::fabs(x[i]));
    const float f = factor(amax);
    for (int i = 0; i < kBlock; ++i) codes[i] = f == 0 ? int8_t{0} : int8_t(std::nearbyint(x[i] * f));
    return scale(amax);
  }
};

}  // namespace nemotron
