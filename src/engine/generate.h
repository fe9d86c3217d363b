// Generation: one prompt's answer, or several, token by token, until a stop id, a stop string, a limit or the caller
// ends each.

#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/penalties.h"
#include "engine/sampler.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

namespace nemotron {

struct GenerateOptions {
  Sampling sampling = {};
  Penalties penalties = {};
  std::optional<index> thinking_budget = {};  // tokens; needs a tokenizer
  index max_tokens = 1024;
  std::vector<int32_t> stop_ids = {};
  std::vector<std::string> stop_strings = {};  // need a tokenizer; the text ends before the first of them
  index logprobs = 0;                          // report so many of the most likely tokens at each position
};

enum class Finish : uint8_t { stop_id, stop_string, length, interrupted };
const char* finish_name(Finish f);  // "stop", "stop", "length", "interrupted"

struct GeneratedToken {
  int sample = 0;
  int32_t id = -1;
  std::string text = {};                   // what became certain with it; may be empty, or hold text of earlier tokens
  double logprob = 0;                      // with options.logprobs
  std::vector<TokenProbability> top = {};  // likewise
};

struct Generated {
  std::vector<int32_t> ids = {};  // a stop id included
  std::string text = {};          // without the stop id's or stop string's text
  Finish finish = Finish::length;
  index prompt_tokens = 0;                 // fed by this call, once for all samples
  double prompt_seconds = 0, seconds = 0;  // until the first logits; of everything after
};

// Holds back text that may become a stop string.
class StopStrings {
 public:
  explicit StopStrings(std::vector<std::string> stops) : stops_(std::move(stops)) {}
  // Text that is certain to come before any stop string; sets found() once one is complete, after which nothing more is
  // given. The text ends before the one that is complete first, the longest of those that end there.
  std::string put(const std::string& text);
  std::string finish();  // what is held back at the end of the output
  bool found() const { return found_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool found_ = false;
};

// Continues `prompt` (not empty), of which slot 0 of `state` has seen the first `position` ids, fewer than all: feeds
// the rest, then samples. The state then holds all ids but the last. `tokenizer` may be null: then there is no text.
// `on_token` sees each token, and returns false to end; when the output ends, text that was held back comes with id -1.
// Throws Error for options out of range and for logits that are not numbers.
Generated generate(Engine& engine, const Tokenizer* tokenizer, State& state, const std::vector<int32_t>& prompt,
                   const GenerateOptions& options, const std::function<bool(const GeneratedToken&)>& on_token);

// The same for `samples` answers side by side, in slots 0, 1, … of a state that has slot 0 alone. Sample i is what
// generate() gives with the seed i higher.
std::vector<Generated> generate_samples(Engine& engine, const Tokenizer* tokenizer, State& state,
                                        const std::vector<int32_t>& prompt, const GenerateOptions& options, int samples,
                                        const std::function<bool(const GeneratedToken&)>& on_token);

}  // namespace nemotron
