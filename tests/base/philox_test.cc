// Philox against the published known answers and the seeded words of its users.

#include "base/philox.h"

#include <gtest/gtest.h>

#include "data.h"

namespace nemotron {
namespace {

std::array<uint32_t, 4> four_words(const Json& list) {
  const Json::Array& w = list.array();
  return {hex_word(w.at(0)), hex_word(w.at(1)), hex_word(w.at(2)), hex_word(w.at(3))};
}

TEST(philox, gives_the_published_words) {
  const Json data = test_data("formats/philox4x32.json"), &rows = member(data, "words");
  ASSERT_FALSE(rows.array().empty());
  for (const Json& row : rows.array()) {
    const Json::Array& r = row.array();
    const std::array<uint32_t, 2> key = {hex_word(r.at(2).array().at(0)), hex_word(r.at(2).array().at(1))};
    EXPECT_EQ(philox4x32(four_words(r.at(1)), key, int(r.at(0).integer())), four_words(r.at(3))) << row.dump();
  }
}

TEST(philox, gives_the_words_of_seeds_and_offsets) {
  const Json data = test_data("formats/philox4x32.json"), &rows = member(data, "seeded");
  ASSERT_FALSE(rows.array().empty());
  for (const Json& row : rows.array()) {
    const Json::Array& r = row.array();
    const uint64_t seed = std::stoull(r.at(1).string()), offset = std::stoull(r.at(2).string());
    const std::array<uint32_t, 4> counter = {uint32_t(offset), uint32_t(offset >> 32), 0, 0};
    const std::array<uint32_t, 2> key = {uint32_t(seed), uint32_t(seed >> 32)};
    EXPECT_EQ(philox4x32(counter, key, int(r.at(0).integer())), four_words(r.at(3))) << row.dump();
  }
}

TEST(philox, keys_the_noise_of_a_state_by_every_bit_of_its_place) {
  const auto noise = state_noise(1, 2, 3, 4);
  EXPECT_EQ(noise, philox4x32({4, 2, 3, 0}, {1, 0}, 5));
  EXPECT_NE(noise, state_noise(1 | uint64_t{1} << 63, 2, 3, 4));
  EXPECT_NE(noise, state_noise(1, 3, 3, 4));
  EXPECT_NE(noise, state_noise(1, 2, 3 | uint64_t{1} << 40, 4));
  EXPECT_NE(noise, state_noise(1, 2, 3, 5));
}

}  // namespace
}  // namespace nemotron
