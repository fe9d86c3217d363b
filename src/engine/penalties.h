// What pushes tokens up or down before one is sampled: penalties for those used already, and biases.

#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tensor/tensor.h"

namespace nemotron {

struct Penalties {
  double repetition = 1;                               // divides a positive logit, multiplies a negative one
  double presence = 0;                                 // subtracted once from what was generated
  double frequency = 0;                                // subtracted as often as it was generated
  std::vector<std::pair<int32_t, double>> logit_bias;  // token id, what is added
};

// Throws Error naming the option for a value out of range (NaN too), or for a biased id outside the vocabulary.
void check_penalties(const Penalties& p, index vocab_size);

// Changes the logits of a sequence's next token. Biases come first, then repetition, frequency, presence, as in vLLM.
// Repetition looks at the whole sequence, prompt included, as in transformers; presence and frequency at what was
// generated, as in OpenAI's API. The result depends on nothing else, so a sample is the same in any batch.
class Penalizer {
 public:
  Penalizer(const Penalties& penalties, std::span<const int32_t> prompt);

  bool active() const;  // false: apply() changes nothing
  void apply(std::span<float> logits) const;
  void generated(int32_t id);

 private:
  const Penalties& penalties_;
  std::unordered_map<int32_t, index> generated_;  // how often; 0 for what only the prompt has
};

}  // namespace nemotron
