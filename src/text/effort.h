// How much a model is to reason before it answers, and how its chat template is told.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/json.h"
#include "text/jinja/template.h"

namespace nemotron {

struct Effort {
  // unset: as the template's authors decided.
  enum class Level : uint8_t { unset, off, on, low, medium, high };
  Level level = Level::unset;
  std::optional<int64_t> budget = {};  // tokens of thought; its level is then `on`

  // "on", "off", "low", "medium", "high", or a number of tokens; "default" is unset. Throws Error naming `where`.
  static Effort parse(const std::string& text, const std::string& where);
  std::string name() const;  // what parse() reads
};

// What an effort becomes for one template.
struct EffortSwitch {
  Json kwargs = Json::Object();        // variables for the template
  std::string system = {};             // to be added to the system message
  std::optional<int64_t> budget = {};  // of thought, to be kept while generating
};

// Templates differ; they are told by the variables they read:
//   enable_thinking, thinking, enable_reasoning, reasoning   true or false
//   low_effort, medium_effort                                true
//   reasoning_effort                                         "none", "low", "medium", "high"
//   thinking_budget                                          tokens
// and one that looks for "/no_think" in its messages finds it in the system message. Where none of these turns
// reasoning off, a budget of 0 does. Throws Error for a level that the template has no switch for: it would silently do
// nothing.
EffortSwitch switch_effort(const jinja::Template& chat_template, const Effort& effort);

}  // namespace nemotron
