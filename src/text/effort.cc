// Efforts to the switches of chat templates.

#include "text/effort.h"

#include <array>
#include <charconv>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace nemotron {
namespace {

using Level = Effort::Level;

constexpr std::array<std::pair<Level, std::string_view>, 6> kNames = {{{Level::unset, "default"},
                                                                       {Level::off, "off"},
                                                                       {Level::on, "on"},
                                                                       {Level::low, "low"},
                                                                       {Level::medium, "medium"},
                                                                       {Level::high, "high"}}};
constexpr int64_t kMostTokens = int64_t{1} << 30;
constexpr std::array<const char*, 4> kSwitches = {"enable_thinking", "thinking", "enable_reasoning", "reasoning"};
constexpr const char* kNoThink = "/no_think";

std::string level_name(Level level) {
  for (const auto& [known, name] : kNames)
    if (known == level) return std::string(name);
  return {};
}

void turn_off(const jinja::Template& t, EffortSwitch& out) {
  if (!out.kwargs.object().empty()) return;  // a switch of its own has done it
  out.budget = 0;
  if (t.reads("thinking_budget")) out.kwargs.set("thinking_budget", 0);
  if (t.reads("reasoning_effort")) out.kwargs.set("reasoning_effort", "none");
  if (out.kwargs.object().empty() && t.mentions(kNoThink)) out.system = kNoThink;
}

void set_level(const jinja::Template& t, Level level, EffortSwitch& out) {
  const std::string name = level_name(level), flag = name + "_effort";
  if (t.reads(flag))
    out.kwargs.set(flag, true);
  else if (t.reads("reasoning_effort"))
    out.kwargs.set("reasoning_effort", name);
  else
    throw Error({.what = "the chat template has no switch for this effort",
                 .where = "--think",
                 .expected = "on, off, or a number of tokens",
                 .found = name});
}

}  // namespace

Effort Effort::parse(const std::string& text, const std::string& where) {
  for (const auto& [level, name] : kNames)
    if (text == name) return {.level = level};
  int64_t tokens = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), tokens);
  if (error != std::errc() || end != text.data() + text.size() || tokens < 0 || tokens > kMostTokens)
    throw Error({.what = "no such effort",
                 .where = where,
                 .expected = "on, off, low, medium, high, or a number of tokens",
                 .found = printable(text, 60)});
  return {.level = Level::on, .budget = tokens};
}

std::string Effort::name() const { return budget ? std::to_string(*budget) : level_name(level); }

EffortSwitch switch_effort(const jinja::Template& t, const Effort& effort) {
  EffortSwitch out;
  if (effort.level == Level::unset) return out;
  for (const char* name : kSwitches)
    if (t.reads(name)) out.kwargs.set(name, effort.level != Level::off);
  if (effort.level == Level::off) {
    turn_off(t, out);
  } else if (effort.level != Level::on) {
    set_level(t, effort.level, out);
  } else if (effort.budget) {
    out.budget = effort.budget;
    if (t.reads("thinking_budget")) out.kwargs.set("thinking_budget", *effort.budget);
  }
  return out;
}

}  // namespace nemotron
