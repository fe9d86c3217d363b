// Penalties and biases against the formulas they are named after, and their place in a generation.

#include "engine/penalties.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"

namespace nemotron {
namespace {

std::vector<float> applied(const Penalties& p, const std::vector<int32_t>& prompt,
                           const std::vector<int32_t>& generated, std::vector<float> logits) {
  Penalizer penalizer(p, prompt);
  for (const int32_t id : generated) penalizer.generated(id);
  penalizer.apply(logits);
  return logits;
}

TEST(penalties, none_by_default) {
  EXPECT_FALSE(Penalizer({}, std::vector<int32_t>{1}).active());
  EXPECT_EQ(applied({}, {0, 1}, {1, 1}, {1, -2, 3}), (std::vector<float>{1, -2, 3}));
}

TEST(penalties, repetition_divides_what_is_positive_and_multiplies_what_is_negative_prompt_included) {
  Penalties p;
  p.repetition = 2;
  EXPECT_EQ(applied(p, {0, 1, 1}, {3}, {4, -4, 4, 8, 0}), (std::vector<float>{2, -8, 4, 4, 0}));
  p.repetition = 0.5;
  EXPECT_EQ(applied(p, {0, 1}, {}, {4, -4, 4}), (std::vector<float>{8, -2, 4})) << "below 1 it invites";
}

TEST(penalties, presence_counts_once_and_frequency_each_time_of_what_was_generated) {
  Penalties p;
  p.presence = 0.5;
  EXPECT_EQ(applied(p, {0}, {1, 1, 2}, {1, 1, 1, 1}), (std::vector<float>{1, 0.5, 0.5, 1}));
  p.presence = 0, p.frequency = 0.25;
  EXPECT_EQ(applied(p, {0}, {1, 1, 2}, {1, 1, 1, 1}), (std::vector<float>{1, 0.5, 0.75, 1}));
  p.presence = -1;
  EXPECT_EQ(applied(p, {}, {1, 1}, {1, 1}), (std::vector<float>{1, 1.5}));
}

TEST(penalties, biases_come_first_and_repetition_before_the_others) {
  Penalties p;
  p.repetition = 2, p.presence = 1, p.frequency = 0.5;
  p.logit_bias = {{0, 3}, {1, -3}};
  EXPECT_EQ(applied(p, {}, {0, 0, 1}, {1, 1, 1}), (std::vector<float>{(1 + 3) / 2.0f - 2, (1 - 3) * 2.0f - 1.5f, 1}));
}

TEST(penalties, minus_infinity_stays) {
  Penalties p;
  p.repetition = 2, p.presence = -1;
  p.logit_bias = {{0, 100}};
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(applied(p, {}, {0}, {-inf, 1})[0], -inf);
}

TEST(penalties, refuse_what_is_out_of_range) {
  const double nan = std::nan("");
  const auto refuse = [](const Penalties& p, const char* name) {
    try {
      check_penalties(p, 10);
      ADD_FAILURE() << name;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(name), std::string::npos) << e.what();
    }
  };
  for (const double bad : {nan, 0.0, -1.0, 1e9}) {
    Penalties p;
    p.repetition = bad;
    refuse(p, "--repetition-penalty");
  }
  for (const double bad : {nan, -101.0, 101.0, double(INFINITY)}) {
    Penalties p, q;
    p.presence = bad, q.frequency = bad;
    refuse(p, "--presence-penalty");
    refuse(q, "--frequency-penalty");
  }
  for (const auto& bad : std::vector<std::pair<int32_t, double>>{{10, 1.0}, {-1, 1.0}, {0, nan}, {0, 1e4}}) {
    Penalties p;
    p.logit_bias = {bad};
    refuse(p, "--logit-bias");
  }
  check_penalties({}, 10);
}

}  // namespace
}  // namespace nemotron
