// A budget for the thought before an answer: when it is spent, the thought is ended for the model.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"

namespace nemotron {

class Tokenizer;

// Follows one answer. A thought is open from the start where the prompt opened it, else when the answer begins with
// "<think>". Once it has `budget` tokens it ends after the next newline, and kThinkingGrace tokens later in any case
// (spec/model.md 9.2).
inline constexpr index kThinkingGrace = 500;

class ThinkingBudget {
 public:
  // The tokenizer outlives this object.
  ThinkingBudget(const Tokenizer& tokenizer, index budget, bool open);

  // The ids that end the thought, where it must end now, before a further token is sampled; else none.
  std::vector<int32_t> ending();
  // The text that became certain with the next token of the answer, sampled or forced.
  void put(std::string_view text);

 private:
  enum class Where : uint8_t { before, inside, after };

  const Tokenizer* tokenizer_;
  index budget_, tokens_ = 0;  // of the thought so far
  Where where_;
  bool newline_ = true;   // the thought stands at the start of a line
  bool overdue_ = false;  // a newline has come since the budget was spent
  std::string seen_;      // before: the whole answer; inside: its end, as much as the tag may need
};

}  // namespace nemotron
