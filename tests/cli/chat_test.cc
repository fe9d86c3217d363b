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

TEST_F(Chat, ends_a_pipe_at_a_bad_command_and_refuses_damaged_files) {
  expect_refused({"chat", pico}, {"/frob", "no such command"}, "/frob\n");
  expect_refused({"chat", pico}, {"/think", "on, off or low"}, "/think hard\n");
  expect_refused({"chat", pico}, {"/save", "file name"}, "/save\n");
  write_text(folder / "bad.json", R"({"format": "nemotron-conversation-1", "think": "on", "messages": [{"role": 3}]})");
  expect_refused({"chat", pico}, {"bad.json", "messages"}, "/load " + (folder / "bad.json").string() + "\n");
  write_text(folder / "deep.json", std::string(100000, '['));
  expect_refused({"chat", pico}, {"deep.json", "JSON"}, "/load " + (folder / "deep.json").string() + "\n");
}

}  // namespace
}  // namespace nemotron
