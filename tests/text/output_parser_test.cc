// Model output to thought, answer and calls: equal to the reference, however the stream is cut, and in linear time.

#include "text/output_parser.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "base/utf8.h"
#include "golden.h"

namespace nemotron {
namespace {

struct Case {
  std::string name, text;
  OutputStyle style;
  ToolSchemas tools;
  Json expected;
};

Json output_json(const ParsedOutput& output) {
  Json::Array calls;
  for (const ToolCall& c : output.tool_calls)
    calls.push_back(Json::Object{{"name", c.name}, {"arguments", c.arguments}, {"complete", c.complete}});
  const auto text = [](const std::optional<std::string>& t) { return t ? Json(*t) : Json(); };
  return Json::Object{
      {"reasoning", text(output.reasoning)}, {"content", text(output.content)}, {"tool_calls", std::move(calls)}};
}

std::vector<Case> cases_of(const std::string& file) {
  const Json lists = test_data("text/parser/tools.json");
  std::vector<Case> out;
  for (const Json& line : golden_lines("parser/" + file)) {
    const Json& tools = member(line, "tools");
    out.push_back(
        {.name = line.find("id") ? member(line, "id").string() : std::to_string(out.size()),
         .text = member(line, "text").string(),
         .style = {.thinking_open = member(line, "thinking").string() == "open",
                   .force_nonempty_content = member(line, "force_nonempty_content").boolean()},
         .tools = ToolSchemas::from_json(tools.is_string() ? member(lists, tools.string().c_str()) : tools, ""),
         .expected = member(line, "expected")});
  }
  return out;
}

// What a client holds who was sent the deltas.
class Client {
 public:
  void take(const std::vector<OutputDelta>& deltas) {
    for (const OutputDelta& d : deltas) {
      ++count;
      switch (d.kind) {
        case OutputDelta::kReasoning:
        case OutputDelta::kContent:
          EXPECT_NE(d.text, "");
          (d.kind == OutputDelta::kContent ? content : reasoning) += d.text;
          break;
        case OutputDelta::kCallBegins:
          EXPECT_FALSE(within_call);
          EXPECT_EQ(d.index, calls.size());
          calls.push_back({.name = d.text});
          within_call = true;
          break;
        case OutputDelta::kCallEnds:
          EXPECT_TRUE(within_call);
          EXPECT_EQ(d.index + 1, calls.size());
          EXPECT_EQ(d.call.name, calls.back().name);
          calls.back() = d.call;
          within_call = false;
          break;
        case OutputDelta::kRestart:
          *this = {.restarts = restarts + 1, .count = count};
      }
    }
  }
  Json json() const {
    EXPECT_FALSE(within_call);
    ParsedOutput out{.reasoning = {}, .content = {}, .tool_calls = calls};
    if (!reasoning.empty()) out.reasoning = reasoning;
    if (!content.empty()) out.content = content;
    return output_json(out);
  }

  std::string reasoning = {}, content = {};
  std::vector<ToolCall> calls = {};
  bool within_call = false;
  int restarts = 0, count = 0;
};

// Feeds pieces whose lengths `next_length` says, and checks that the deltas make up the result.
template <typename NextLength>
Json parse(const Case& c, NextLength next_length) {
  OutputParser parser(c.style, &c.tools);
  Client client;
  for (size_t at = 0; at < c.text.size();) {
    const size_t length = std::min<size_t>(next_length(), c.text.size() - at);
    client.take(parser.put(std::string_view(c.text).substr(at, length)));
    at += length;
  }
  client.take(parser.finish());
  const Json result = output_json(parser.result());
  EXPECT_EQ(client.json().dump(), result.dump()) << c.name;
  return result;
}

// One output, piece by piece.
struct Stream {
  explicit Stream(OutputStyle style, const std::string& tools = "null")
      : schemas(ToolSchemas::from_json(parse_json(tools, "tools"), "tools")), parser(style, &schemas) {}

  // The deltas of one piece, in short: R for reasoning, C for content, B for a call's beginning, E for its end.
  std::string put(std::string_view piece) { return shown(parser.put(piece)); }
  std::string finish() { return shown(parser.finish()); }
  std::string shown(const std::vector<OutputDelta>& deltas) {
    client.take(deltas);
    std::string out;
    for (const OutputDelta& d : deltas) {
      if (!out.empty()) out += ' ';
      out += "RCBE!"[d.kind];
      out += d.kind == OutputDelta::kCallEnds ? d.call.arguments.dump() + (d.call.complete ? "" : "…") : d.text;
    }
    return out;
  }

  ToolSchemas schemas;
  OutputParser parser;
  Client client;
};

constexpr OutputStyle kOpen{.thinking_open = true}, kClosed{.thinking_open = false};
constexpr const char* kTools = R"([{"name": "f", "parameters": {"properties": {"a": {"type": "integer"}}}}])";

TEST(OutputParser, equals_the_reference) {
  for (const char* file : {"cases.jsonl", "truncated.jsonl", "generated.jsonl"}) {
    for (const Case& c : cases_of(file))
      EXPECT_EQ(parse(c, [&] { return c.text.size(); }).dump(), c.expected.dump()) << file << " " << c.name << "\n"
                                                                                   << c.text;
  }
}

TEST(OutputParser, gives_the_same_for_every_length_of_pieces) {
  std::mt19937 random(7);
  for (const char* file : {"cases.jsonl", "generated.jsonl"}) {
    for (const Case& c : cases_of(file)) {
      const std::string expected = c.expected.dump();
      for (const size_t length : {1, 2, 3, 4, 5, 7, 8, 11, 13, 17, 40})
        ASSERT_EQ(parse(c, [&] { return length; }).dump(), expected) << c.name << " in pieces of " << length << "\n"
                                                                     << c.text;
      for (int i = 0; i < 3; ++i)
        ASSERT_EQ(parse(c, [&] { return 1 + random() % 9; }).dump(), expected) << c.name << " in random pieces\n"
                                                                               << c.text;
    }
  }
}

TEST(OutputParser, gives_the_same_for_every_cut_in_two) {
  for (const Case& c : cases_of("cases.jsonl")) {
    if (c.text.size() > 150) continue;
    const std::string expected = c.expected.dump();
    for (size_t cut = 1; cut < c.text.size(); ++cut)
      ASSERT_EQ(
          parse(c, [&, first = true]() mutable { return std::exchange(first, false) ? cut : c.text.size(); }).dump(),
          expected)
          << c.name << " cut at " << cut << "\n"
          << c.text;
  }
}

TEST(OutputParser, sends_text_as_it_comes) {
  Stream s(kOpen, kTools);
  EXPECT_EQ(s.put("Let me"), "RLet me");
  EXPECT_EQ(s.put(" see\n"), "R see");  // a newline may belong to a tag
  EXPECT_EQ(s.put("a < b </th"), "R\na < b ");
  EXPECT_EQ(s.put("e "), "R</the ");
  EXPECT_TRUE(s.parser.thinking());
  EXPECT_EQ(s.put("x\n</think>"), "Rx");
  EXPECT_FALSE(s.parser.thinking());
  EXPECT_EQ(s.put("\nYes"), "CYes");
  EXPECT_EQ(s.put(" </think> <"), "C </think> ");
  EXPECT_EQ(s.put("b>\n"), "C<b>");
  EXPECT_EQ(s.finish(), "C\n");
}

TEST(OutputParser, sends_everything_at_once_where_no_tag_matters) {
  Stream s(kOpen);
  EXPECT_EQ(s.put("</think>"), "");
  EXPECT_EQ(s.put("<tool_call>\n"), "C<tool_call>\n");
  EXPECT_EQ(s.put("\n<fun"), "C\n<fun");
  EXPECT_EQ(s.finish(), "");
}

TEST(OutputParser, announces_a_call_once_it_has_a_name_and_sends_it_once_it_is_closed) {
  Stream s(kClosed, kTools);
  EXPECT_EQ(s.put("I look.\n<tool_call>"), "CI look.");
  EXPECT_EQ(s.put("\n<function=f"), "");
  EXPECT_EQ(s.put(">"), "Bf");
  EXPECT_EQ(s.put("\n<parameter=a>\n5\n</parameter>\n</function"), "");
  EXPECT_EQ(s.put(">"), "E{\"a\": 5}");
  EXPECT_EQ(s.put("\n</tool_call>\n<tool_call> x"), "C\n<tool_call> x");
  EXPECT_EQ(s.put("\n<function=f><parameter=a>7"), "Bf");
  EXPECT_EQ(s.finish(), "E{\"a\": 7}…");
  EXPECT_EQ(s.client.restarts, 0);
}

TEST(OutputParser, holds_back_only_what_may_end_the_thought) {
  Stream s(kOpen, kTools);
  EXPECT_EQ(s.put("The form is\n<tool_call> and"), "RThe form is\n<tool_call> and");
  EXPECT_EQ(s.put("\n<tool_call>\n<function=g>\n</function>\n</tool_call>"), "");
  EXPECT_EQ(s.put("\nno"), "R\n<tool_call>\n<function=g>\n</function>\n</tool_call>\nno");  // g is not offered
  EXPECT_EQ(s.put("\n<tool_call>\n<function=f>\n</function>\n</tool_call> now"), "");
  EXPECT_TRUE(s.parser.thinking());
  Stream other = Stream(kOpen, kTools);
  other.put("x\n<tool_call>\n<function=f>\n</function>\n</tool_call> now");
  EXPECT_EQ(s.finish(), "Bf E{} C now");
  EXPECT_FALSE(s.parser.thinking());
  EXPECT_EQ(other.put("\n</think>\nno"), "R\n<tool_call>\n<function=f>\n</function>\n</tool_call> now Cno");
  EXPECT_EQ(s.client.restarts + other.client.restarts, 0);
}

TEST(OutputParser, restarts_where_an_answer_was_a_thought) {
  Stream s(kClosed, kTools);
  EXPECT_EQ(s.put("Leak\n"), "CLeak");
  EXPECT_EQ(s.put("</think>\n "), "");  // if nothing follows, it is the answer
  EXPECT_EQ(s.put("x"), "! RLeak C x");
  EXPECT_EQ(s.finish(), "");
  Stream blank(kClosed);
  EXPECT_EQ(blank.put("Leak\n</think>\n "), "");
  EXPECT_EQ(blank.finish(), "CLeak");
  Stream call(kClosed, kTools);
  EXPECT_EQ(call.put("<function=f>"), "Bf");
  EXPECT_EQ(call.put("</think>x"), "! R<function=f> Cx");
  Stream forced({.thinking_open = true, .force_nonempty_content = true});
  EXPECT_EQ(forced.put("Thought\n</think>\n"), "RThought");
  EXPECT_EQ(forced.finish(), "! CThought");
}

TEST(OutputParser, never_cuts_a_character) {
  Case c{.name = "characters",
         .text = "é中🙂</think>ñ🙂<tool_call>🙂",
         .style = kOpen,
         .tools = {},
         .expected = {}};
  OutputParser parser(c.style, nullptr);
  const auto check = [](const std::vector<OutputDelta>& deltas) {
    for (const OutputDelta& d : deltas) EXPECT_EQ(find_invalid_utf8(d.text), d.text.size());
  };
  for (const char byte : c.text) check(parser.put({&byte, 1}));
  check(parser.finish());
  EXPECT_EQ(*parser.result().content, "ñ🙂<tool_call>🙂");
}

TEST(OutputParser, passes_invalid_bytes_through) {
  const std::string text = "\xff\xc3</think>\xe4\xb8\n\xf0\x9f\x99";
  for (const size_t length : {size_t{1}, text.size()}) {
    OutputParser parser(kOpen, nullptr);
    for (size_t at = 0; at < text.size(); at += length) parser.put(std::string_view(text).substr(at, length));
    parser.finish();
    EXPECT_EQ(*parser.result().reasoning, "\xff\xc3");
    EXPECT_EQ(*parser.result().content, "\xe4\xb8\n\xf0\x9f\x99");
  }
}

TEST(OutputParser, loses_no_character_where_nothing_is_offered) {
  for (const Case& c : cases_of("generated.jsonl")) {
    if (c.text.find("<think>") != c.text.npos) continue;
    OutputParser parser({.thinking_open = true}, nullptr);
    parser.put(c.text);
    parser.finish();
    const std::string reasoning = parser.result().reasoning.value_or(""),
                      content = parser.result().content.value_or("");
    EXPECT_TRUE(c.text.starts_with(reasoning) && c.text.ends_with(content)) << c.text;
    const std::string between = c.text.substr(reasoning.size(), c.text.size() - reasoning.size() - content.size());
    EXPECT_TRUE(between == "" || between == "\n" || between == "</think>" || between == "\n</think>" ||
                between == "</think>\n" || between == "\n</think>\n")
        << c.text;
  }
}

TEST(OutputParser, knows_a_prompt_that_ends_inside_a_thought) {
  EXPECT_TRUE(OutputParser::opens("<|im_start|>assistant\n<think>\n"));
  EXPECT_FALSE(OutputParser::opens("<|im_start|>assistant\n<think></think>"));
  EXPECT_FALSE(OutputParser::opens(""));
}

std::string repeated(std::string_view part, size_t bytes) {
  std::string out;
  while (out.size() < bytes) out += part;
  return out;
}

// Each of these takes minutes or the whole memory where anything is quadratic.
TEST(OutputParser, is_linear_for_hostile_outputs) {
  constexpr size_t kBytes = 200'000;
  const std::string head = "<tool_call><function=f><parameter=o>";
  std::string keys = head + "{", names = "<tool_call>\n<function=u>\n", differing, crossing;
  for (size_t i = 0; i < kBytes / 20; ++i) {
    keys += "\"k" + std::to_string(i) + "\":1,";
    names += "<parameter=p" + std::to_string(i) + ">\nx\n";
    differing += "<tool_call><function=u><parameter=a" + std::to_string(i) + ">x</parameter><parameter=>";
    crossing += "\n<parameter=a" + std::to_string(i) + ">";
  }
  const std::vector<std::string> texts = {
      repeated("<tool_call>", kBytes),
      repeated("<tool_call><function=unknown><parameter=a>", kBytes),
      repeated("\n<tool_call>\n<function=f>\n<parameter=a>\nx", kBytes),
      repeated("\n<tool_call>\n<function=f>\n<parameter=a>\nx", kBytes / 2) +
          repeated("\n</parameter>\n</function>\n</tool_call>", kBytes / 2) + "x",
      repeated("\n<tool_call><function=u><parameter=a>x", kBytes / 2) + repeated("</parameter>x", kBytes / 2),
      repeated("<tool_call><function=u><parameter=a><function=x>", kBytes),
      head + "</parameter>" + repeated(" ", kBytes),
      repeated(" ", kBytes),
      repeated("\n", kBytes),
      repeated("<function=a", kBytes),
      "<function=" + repeated("a", kBytes),
      repeated("</think", kBytes),
      head + repeated("\n</function>\n</function>", kBytes),
      head + repeated("[", kBytes) + "</parameter></function>",
      head + repeated("{\"a\":", kBytes) + "</parameter></function>",
      head + "[" + repeated("9", kBytes) + "]</parameter></function>",
      keys + "}</parameter></function>",
      names,
      differing + crossing};
  const ToolSchemas tools = ToolSchemas::from_json(
      parse_json(R"([{"name": "f", "parameters": {"properties": {"o": {"type": ["array", "object"]}}}}])", ""), "");
  for (const std::string& text : texts) {
    const auto begin = std::chrono::steady_clock::now();
    for (const OutputStyle style : {kOpen, kClosed}) {
      OutputParser parser(style, &tools);
      for (const char& byte : text) parser.put({&byte, 1});
      parser.finish();
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    EXPECT_LT(seconds.count(), 20) << text.substr(0, 80);  // a tenth of a second, but for sanitizers and busy machines
  }
}

}  // namespace
}  // namespace nemotron
