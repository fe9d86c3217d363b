// Shows an answer as it comes: the thought dimmed, where it is shown at all, and tool calls as calls.

#pragma once

#include <string>
#include <vector>

#include "text/output_parser.h"

namespace nemotron::cli {

// get_weather(city="Paris", days=3); what the output's end cut off is marked.
std::string call_text(const ToolCall& call);

// {"name", "arguments", "complete"}, and {"reasoning", "content", "tool_calls"} with null for what is not there.
Json call_json(const ToolCall& call);
Json output_json(const ParsedOutput& output);

// A whole result as one delta for each part.
std::vector<OutputDelta> deltas_of(const ParsedOutput& output);

class Screen {
 public:
  struct Style {
    bool colour = false;               // a terminal
    bool reasoning = true;             // shown
    std::string after_reasoning = {};  // between a shown thought and what follows, on a line of its own
  };
  explicit Screen(Style style) : style_(std::move(style)) {}

  void show(const std::vector<OutputDelta>& deltas);
  void end();  // the last line

 private:
  enum class Part : uint8_t { nothing, reasoning, content, calls };
  void show(const OutputDelta& delta);
  void enter(Part part);  // a line of its own for each part

  Style style_;
  Part part_ = Part::nothing;
  bool line_start_ = true;
};

}  // namespace nemotron::cli
