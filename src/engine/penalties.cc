// Penalizer: counts of ids, and the arithmetic on their logits.

#include "engine/penalties.h"

#include <fmt/format.h>

#include "base/error.h"
#include "engine/sampler.h"

namespace nemotron {

void check_penalties(const Penalties& p, index vocab_size) {
  check_option("--repetition-penalty", p.repetition, 1e-3, 1e3, "0.001 to 1000; 1 does nothing");
  check_option("--presence-penalty", p.presence, -100, 100, "-100 to 100; 0 does nothing");
  check_option("--frequency-penalty", p.frequency, -100, 100, "-100 to 100; 0 does nothing");
  for (const auto& [id, bias] : p.logit_bias) {
    if (id < 0 || id >= vocab_size)
      throw Error({.what = "no such token",
                   .where = "--logit-bias",
                   .expected = fmt::format("an id from 0 to {}", vocab_size - 1),
                   .found = fmt::format("{}", id)});
    check_option("--logit-bias", bias, -1000, 1000, "-1000 to 1000");
  }
}

Penalizer::Penalizer(const Penalties& penalties, std::span<const int32_t> prompt) : penalties_(penalties) {
  if (penalties.repetition != 1)
    for (const int32_t id : prompt) generated_.try_emplace(id, 0);
}

void Penalizer::generated(int32_t id) { ++generated_[id]; }

bool Penalizer::active() const {
  const Penalties& p = penalties_;
  return p.repetition != 1 || p.frequency != 0 || p.presence != 0 || !p.logit_bias.empty();
}

void Penalizer::apply(std::span<float> logits) const {
  for (const auto& [id, bias] : penalties_.logit_bias) logits[size_t(id)] = float(double(logits[size_t(id)]) + bias);
  for (const auto& [id, count] : generated_) {
    double v = logits[size_t(id)];
    v = v > 0 ? v / penalties_.repetition : v * penalties_.repetition;
    if (count > 0) v -= penalties_.frequency * double(count) + penalties_.presence;
    logits[size_t(id)] = float(v);
  }
}

}  // namespace nemotron
