// Fuzzes the parser of model output. The first byte is the mode, the second says where the stream is cut, then come, in
// some modes, tools as JSON up to a NUL byte, and then the text. However it is cut, deltas and result must be those of
// the whole, and without tools every character must be somewhere.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "text/output_parser.h"

namespace {

using namespace nemotron;

void check(bool holds) {
  if (!holds) std::abort();
}

// What a client holds who was sent the deltas.
struct Client {
  ParsedOutput output = {};
  bool within_call = false;

  void take(const std::vector<OutputDelta>& deltas) {
    for (const OutputDelta& d : deltas) {
      const auto append = [&](std::optional<std::string>& text) { (text ? *text : text.emplace()) += d.text; };
      if (d.kind == OutputDelta::kRestart) {
        *this = {};
      } else if (d.kind == OutputDelta::kCallBegins) {
        check(!within_call && d.index == output.tool_calls.size());
        output.tool_calls.push_back({.name = d.text});
        within_call = true;
      } else if (d.kind == OutputDelta::kCallEnds) {
        check(within_call && d.index + 1 == output.tool_calls.size() && output.tool_calls.back().name == d.call.name);
        output.tool_calls.back() = d.call;
        within_call = false;
      } else {
        check(!d.text.empty());
        append(d.kind == OutputDelta::kContent ? output.content : output.reasoning);
      }
    }
  }
};

std::string shown(const ParsedOutput& output) {  // NaN is unequal to itself, its text is not
  std::string out = output.reasoning.value_or("") + '\0' + output.content.value_or("");
  for (const ToolCall& call : output.tool_calls)
    out += '\0' + call.name + call.arguments.dump() + char('0' + call.complete);
  return out;
}

template <typename NextLength>
ParsedOutput parse(std::string_view text, OutputStyle style, const ToolSchemas& tools, NextLength next_length) {
  OutputParser parser(style, &tools);
  Client client;
  while (!text.empty()) {
    const size_t length = std::min<size_t>(next_length(), text.size());
    client.take(parser.put(text.substr(0, length)));
    text.remove_prefix(length);
  }
  client.take(parser.finish());
  check(!client.within_call && shown(client.output) == shown(parser.result()));
  return parser.result();
}

// Without tools: thought and answer in their order, and between and around them nothing but tags and blanks.
void check_nothing_is_lost(std::string_view text, const ParsedOutput& output) {
  for (const auto& part : {output.reasoning, output.content}) {
    if (!part) continue;
    const size_t at = text.find(*part);
    check(at != text.npos);
    const std::string_view before = text.substr(0, at);
    check(before.find_first_not_of(" \t\r\n</think>") == before.npos && before.size() < text.size());
    text.remove_prefix(at + part->size());
  }
  check(text.find_first_not_of(" \t\r\n</think>") == text.npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const OutputStyle style{.thinking_open = (data[0] & 1) != 0, .force_nonempty_content = (data[0] & 2) != 0};
  uint32_t cuts = data[1];
  std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  std::string tools = (data[0] & 4)
                          ? R"([{"name": "f", "parameters": {"properties": {"a": {"type": ["array", "object"]},
      "b": {"type": ["integer", "null"]}}}}, {"name": "g"}])"
                          : "null";
  if (data[0] & 8) {
    tools = text.substr(0, text.find('\0'));
    text.remove_prefix(std::min(tools.size() + 1, text.size()));
  }
  try {
    const ToolSchemas schemas = ToolSchemas::from_json(parse_json(tools, "tools", 64), "tools");
    const ParsedOutput whole = parse(text, style, schemas, [&] { return text.size(); });
    const std::string expected = shown(whole);
    check(shown(parse(text, style, schemas, [] { return size_t{1}; })) == expected);
    check(shown(parse(text, style, schemas, [&] {
            cuts = cuts * 1103515245 + 12345;
            return size_t{1} + (cuts >> 16) % 13;
          })) == expected);
    if (schemas.empty()) check_nothing_is_lost(text, whole);
  } catch (const Error&) {
  }
  return 0;
}
