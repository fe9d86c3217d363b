// Screen: one part after another, each from the start of a line.

#include "cli/screen.h"

#include <cstdio>

namespace nemotron::cli {
namespace {

constexpr const char *kDim = "\033[2;36m", *kCall = "\033[33m", *kPlain = "\033[0m";

void write(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

}  // namespace

std::string call_text(const ToolCall& call) {
  std::string out = call.name + "(";
  const char* separator = "";
  for (const auto& [key, value] : call.arguments.object()) {
    out += separator + key + "=" + value.dump();
    separator = ", ";
  }
  return out + (call.complete ? ")" : " [cut off]");
}

Json call_json(const ToolCall& call) {
  return Json().set("name", call.name).set("arguments", call.arguments).set("complete", call.complete);
}

Json output_json(const ParsedOutput& output) {
  const auto text = [](const std::optional<std::string>& t) { return t ? Json(*t) : Json(); };
  Json::Array calls;
  for (const ToolCall& call : output.tool_calls) calls.push_back(call_json(call));
  Json out;
  return out.set("reasoning", text(output.reasoning))
      .set("content", text(output.content))
      .set("tool_calls", std::move(calls));
}

std::vector<OutputDelta> deltas_of(const ParsedOutput& output) {
  std::vector<OutputDelta> out;
  if (output.reasoning) out.push_back({.kind = OutputDelta::kReasoning, .text = *output.reasoning});
  if (output.content) out.push_back({.kind = OutputDelta::kContent, .text = *output.content});
  for (size_t i = 0; i < output.tool_calls.size(); ++i)
    out.push_back({.kind = OutputDelta::kCallEnds, .index = i, .call = output.tool_calls[i]});
  return out;
}

void Screen::enter(Part part) {
  if (part == part_) return;
  if (part_ == Part::reasoning) {
    if (style_.colour) write(kPlain);
    if (!line_start_) write("\n");
    if (part != Part::nothing) write(style_.after_reasoning + "\n");
  } else if (part_ != Part::nothing && !line_start_) {
    write("\n");
  }
  if (part == Part::reasoning && style_.colour) write(kDim);
  part_ = part;
  line_start_ = true;
}

void Screen::show(const OutputDelta& delta) {
  switch (delta.kind) {
    case OutputDelta::kReasoning:
    case OutputDelta::kContent: {
      const bool reasoning = delta.kind == OutputDelta::kReasoning;
      if (delta.text.empty() || (reasoning && !style_.reasoning)) return;
      enter(reasoning ? Part::reasoning : Part::content);
      write(delta.text);
      line_start_ = delta.text.back() == '\n';
      return;
    }
    case OutputDelta::kCallBegins:
      return;  // shown whole
    case OutputDelta::kCallEnds:
      enter(Part::calls);
      write((style_.colour ? kCall : "") + call_text(delta.call) + (style_.colour ? kPlain : "") + "\n");
      return;
    case OutputDelta::kRestart:
      enter(Part::nothing);  // what was shown stays above
      return;
  }
}

void Screen::show(const std::vector<OutputDelta>& deltas) {
  for (const OutputDelta& delta : deltas) show(delta);
  std::fflush(stdout);
}

void Screen::end() {
  if (part_ == Part::nothing) write("\n");  // an answer is never without a line
  enter(Part::nothing);
  std::fflush(stdout);
}

}  // namespace nemotron::cli
