// From logits to a token: temperature, top-k, top-p, min-p, and noise that only the seed and the position decide.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tensor/tensor.h"

namespace nemotron {

struct Sampling {
  double temperature = 1;  // 0: the most likely token, ties to the lower id
  index top_k = 0;         // keep so many of the most likely; 0: all
  double top_p = 1;        // keep the fewest most likely tokens whose probabilities reach this
  double min_p = 0;        // keep tokens at least this times as likely as the most likely
  uint64_t seed = 0;
};

// Throws Error naming the option unless low <= value <= high, so for a NaN too.
void check_option(const char* name, double value, double low, double high, const char* expected);

// Throws Error naming the option for a value out of range (NaN too).
void check_sampling(const Sampling& s);

// The token at `position` of its sequence. The filters apply in the order of the struct, as in transformers; the noise
// is words 0 and 1 of philox4x32-10 with key = seed and counter = (position, 0x53414d50 "SAMP"), so a draw is the same
// in any batch and for any history of drafts. Throws Error if a logit is NaN or +infinity, or none is finite.
int32_t sample(std::span<const float> logits, const Sampling& s, uint64_t position);

struct TokenProbability {
  int32_t id;
  double logprob;  // natural logarithm, of the unfiltered distribution at temperature 1
};

// log of softmax(logits)[id], in double.
double log_probability(std::span<const float> logits, int32_t id);

// The k most likely tokens, best first, ties to the lower id.
std::vector<TokenProbability> top_probabilities(std::span<const float> logits, index k);

}  // namespace nemotron
