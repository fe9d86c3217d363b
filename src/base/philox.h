// Philox4x32: a counter-based random generator; the same (counter, key) gives the same words anywhere, any time.

#pragma once

#include <array>
#include <cstdint>

namespace nemotron {

inline constexpr uint32_t kPhiloxFactor0 = 0xD2511F53, kPhiloxFactor1 = 0xCD9E8D57;
inline constexpr uint32_t kPhiloxWeyl0 = 0x9E3779B9, kPhiloxWeyl1 = 0xBB67AE85;

// Four random words (Salmon et al. 2011; spec/training.md 7.6). 10 rounds is the standard; 5 serve stochastic rounding.
inline std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> c, std::array<uint32_t, 2> key, int rounds = 10) {
  for (int i = 0; i < rounds; ++i) {
    const uint64_t p0 = uint64_t{kPhiloxFactor0} * c[0], p1 = uint64_t{kPhiloxFactor1} * c[2];
    c = {uint32_t(p1 >> 32) ^ c[1] ^ key[0], uint32_t(p1), uint32_t(p0 >> 32) ^ c[3] ^ key[1], uint32_t(p0)};
    key[0] += kPhiloxWeyl0;
    key[1] += kPhiloxWeyl1;
  }
  return c;
}

inline constexpr int kStateRounds = 5;  // of the noise that rounds an FP16 Mamba state (spec/training.md 7.6)

// The 13 random bits that round element i of a layer's state after `position`: word i mod 4 of the draw for elements
// 4*(i/4) .. +3.
inline std::array<uint32_t, 4> state_noise(uint64_t seed, uint32_t layer, uint64_t position, uint32_t quad) {
  return philox4x32({quad, layer, uint32_t(position), uint32_t(position >> 32)}, {uint32_t(seed), uint32_t(seed >> 32)},
                    kStateRounds);
}

}  // namespace nemotron
