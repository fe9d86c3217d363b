// `nemotron chat` through a pipe.

#include "cli/program.h"

#include <algorithm>

#include "base/json.h"

namespace nemotron {
namespace {

using Chat = Program;

TEST_F(Chat, answers_each_line_of_a_pipe) {
  const Outcome o = run({"chat", pico, "--greedy"}, "Hello!\n\nHello!\n");
  EXPECT_EQ(o.code, 0) << o.err;
  EXPECT_EQ(o.out, "Hello! How can I help you?\nHello! How can I help you?\n");
}

TEST_F(Chat, hides_the_reasoning_in_a_pipe_unless_asked) {
  const std::string hidden = run({"chat", pico, "--greedy"}, "Hello!").out;
  const std::string shown = run({"chat", pico, "--greedy", "--reasoning", "show"}, "Hello!").out;
  EXPECT_TRUE(shown.ends_with("\n" + hidden)) << shown;
  EXPECT_EQ(shown.find("\033"), std::string::npos);
}

TEST_F(Chat, goes_on_with_a_saved_conversation_as_if_it_had_not_ended) {
  const std::string file = (folder / "conversation.json").string();
  const std::string whole = run({"chat", pico, "--seed", "3"}, "My name is Ada.\nWhat is my name?\n").out;
  const std::string first = run({"chat", pico, "--seed", "3"}, "My name is Ada.\n/save " + file + "\n").out;
  const std::string second = run({"chat", pico, "--seed", "3"}, "/load " + file + "\nWhat is my name?\n").out;
  const auto last_line = [](const std::string& text) { return text.substr(text.rfind('\n', text.size() - 2) + 1); };
  EXPECT_EQ(last_line(second), last_line(whole));
  EXPECT_NE(first.find("2 messages saved"), std::string::npos);
  const Json saved = parse_json(read_text(file), file);
  EXPECT_EQ(saved.find("messages")->array().size(), 2u);
}

TEST_F(Chat, forgets_on_clear_and_obeys_think) {
  const Outcome o = run({"chat", pico, "--greedy", "--reasoning", "show"},
                        "Hello!\n/clear\n/think off\nHello!\n/stats\n/quit\nHello!\n");
  EXPECT_EQ(o.code, 0) << o.err;
  EXPECT_EQ(std::count(o.out.begin(), o.out.end(), '!'), 2) << o.out;  // nothing after /quit
  EXPECT_NE(o.out.find("context"), std::string::npos);
}

const std::string kTools =
    R"([{"type": "function", "function": {"name": "convert", "description": "Convert units.", "parameters": {"type": "object", )"
    R"("properties": {"value": {"type": "number", "description": "Amount"}, "from": {"type": "string", "enum": ["euros", )"
    R"("kg", "km", "m"]}, "to": {"type": "string", "enum": ["dollars", "feet", "miles", "pounds"]}}, "required": )"
    R"(["value", "from", "to"]}}}])";

TEST_F(Chat, shows_a_call_and_takes_what_it_returns) {
  write_text(folder / "tools.json", kTools);
  const std::string tools = (folder / "tools.json").string(), saved = (folder / "saved.json").string();
  const std::string call = "convert(value=60, from=\"kg\", to=\"pounds\")\n";
  const Outcome whole = run({"chat", pico, "--greedy", "--system", "You are pico.", "--tools", tools},
                            "Convert 60 kg to pounds.\n132.28 pounds\n/save " + saved + "\n");
  EXPECT_EQ(whole.code, 0) << whole.err;
  EXPECT_EQ(whole.out, call + "60 kg is 132.28 pounds.\n5 messages saved\n");

  // The same with the tools given by a command, and the answer given after a save and a load.
  const Outcome first = run({"chat", pico, "--greedy", "--system", "You are pico."},
                            "/tools " + tools + "\nConvert 60 kg to pounds.\n/save " + saved + "\n");
  EXPECT_EQ(first.out, "convert\n" + call + "3 messages saved\n");
  const Outcome second =
      run({"chat", pico, "--greedy"}, "/load " + saved + "\n132.28 pounds\n/tools\n/tools off\n/tools\n");
  EXPECT_EQ(second.out, "3 messages loaded\n60 kg is 132.28 pounds.\nconvert\n") << second.err;

  const Json messages = *parse_json(read_text(saved), saved).find("messages");
  const Json& function = *messages.array()[2].find("tool_calls")->array()[0].find("function");
  EXPECT_EQ(function.dump(), R"({"name": "convert", "arguments": {"value": 60, "from": "kg", "to": "pounds"}})");
}

TEST_F(Chat, leaves_out_a_call_that_was_cut_off) {
  write_text(folder / "tools.json", kTools);
  const Outcome o = run({"chat", pico, "--greedy", "--system", "You are pico.", "--think", "off", "--max-tokens", "20",
                         "--tools", (folder / "tools.json").string()},
                        "Convert 60 kg to pounds.\n");
  EXPECT_EQ(o.code, 0);
  EXPECT_NE(o.out.find("[cut off]"), std::string::npos) << o.out;
  EXPECT_NE(o.err.find("left out"), std::string::npos) << o.err;
}

TEST_F(Chat, ends_a_pipe_at_a_bad_command_and_refuses_damaged_files) {
  expect_refused({"chat", pico}, {"/frob", "no such command"}, "/frob\n");
  expect_refused({"chat", pico}, {"/think", "on, off, low"}, "/think hard\n");
  expect_refused({"chat", pico}, {"/save", "file name"}, "/save\n");
  write_text(folder / "bad.json", R"({"format": "nemotron-conversation-1", "think": "on", "messages": [{"role": 3}]})");
  expect_refused({"chat", pico}, {"bad.json", "messages"}, "/load " + (folder / "bad.json").string() + "\n");
  expect_refused({"chat", pico, "--think", "high"}, {"no switch", "high"});
  expect_refused({"chat", pico}, {"no switch", "high"}, "/think high\n");
  expect_refused({"chat", pico, "--tools", "/nonexistent"}, {"/nonexistent"});
  expect_refused({"chat", pico}, {"bad.json", "tools"}, "/tools " + (folder / "bad.json").string() + "\n");
  expect_refused({"chat", pico, "--kwargs", "[1]"}, {"--kwargs", "object"});
  write_text(folder / "deep.json", std::string(100000, '['));
  expect_refused({"chat", pico}, {"deep.json", "JSON"}, "/load " + (folder / "deep.json").string() + "\n");
}

}  // namespace
}  // namespace nemotron
