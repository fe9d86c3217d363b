// The parse command: one answer a line, the same in pieces, deltas as a client gets them, and refusals.

#include <gtest/gtest.h>

#include "base/json.h"
#include "program.h"

namespace nemotron {
namespace {

using Parse = Program;

constexpr const char* kTools = R"([{"name": "f", "parameters": {"properties": {"n": {"type": "integer"}}}}])";
const std::string kCall =
    "<tool_call>\n<function=f>\n<parameter=n>\n18446744073709551615\n</parameter>\n</function>\n</tool_call>";

std::string request(const std::string& text, const std::string& more) {
  return "{\"text\": " + json_quote(text) + more + "}\n";
}

TEST_F(Parse, answers_each_line_by_itself) {
  const std::string tools = ", \"tools\": " + std::string(kTools);
  const std::string input = request("a\n</think>\nb", "") + "\n" +
                            request("b " + kCall, ", \"thinking\": \"closed\"" + tools) + "nonsense\n" +
                            request("x", ", \"thinking\": \"ajar\"") + "{\"thinking\": \"open\"}\n" +
                            request("x", ", \"tools\": \"main\"") + request("x", ", \"tools\": [{}]") + "5\n" +
                            request("x", ", \"force_nonempty_content\": 1") +
                            "{\"text\": \"\\u2028\\u0000\", \"tools\": null, \"force_nonempty_content\": true}";
  const Outcome o = run({"parse", pico, "--jsonl"}, input);
  EXPECT_EQ(o.code, 0) << o.err;
  std::vector<std::string> lines;
  for (size_t at = 0, end; (end = o.out.find('\n', at)) != o.out.npos; at = end + 1)
    lines.push_back(o.out.substr(at, end - at));
  ASSERT_EQ(lines.size(), 10u) << o.out;
  EXPECT_EQ(lines[0], R"({"reasoning": "a", "content": "b", "tool_calls": []})");
  EXPECT_EQ(
      lines[1],
      R"({"reasoning": null, "content": "b ", "tool_calls": [{"name": "f", "arguments": {"n": 18446744073709551615}, "complete": true}]})");
  const char* wrong[] = {"malformed JSON",
                         "'thinking': expected open or closed, found ajar",
                         "'text': expected string, found nothing",
                         "the tools: expected a list of tools, found string",
                         "tool 0: 'name': expected string",
                         "expected object, found integer",
                         "'force_nonempty_content': expected boolean"};
  for (size_t i = 0; i < std::size(wrong); ++i) {
    EXPECT_TRUE(lines[i + 2].starts_with(R"({"error": {"kind": "value", "message": "request)")) << lines[i + 2];
    EXPECT_NE(lines[i + 2].find(wrong[i]), std::string::npos) << lines[i + 2];
  }
  EXPECT_EQ(lines[9], "{\"reasoning\": null, \"content\": \"\xE2\x80\xA8\\u0000\", \"tool_calls\": []}");
  EXPECT_EQ(run({"parse", pico, "--jsonl", "--stream", "1"}, input).out, o.out);
  write_text(folder / "lines", input);
  EXPECT_EQ(run({"parse", pico, (folder / "lines").string(), "--jsonl"}).out, o.out);
  EXPECT_EQ(run({"parse", "--jsonl"}, input).out, o.out);
}

TEST_F(Parse, shows_the_deltas) {
  const std::string input =
      request("Hm\n</think>\nSo " + kCall + "<tool_call><function=f>", ", \"tools\": " + std::string(kTools));
  const Outcome o = run({"parse", "--jsonl", "--deltas", "--stream", "5"},
                        input + "x\n" + request("a</think>b", ", \"thinking\": \"closed\""));
  EXPECT_EQ(o.code, 0) << o.err;
  const std::string call = R"({"name": "f", "arguments": {"n": 18446744073709551615}, "complete": true})";
  EXPECT_TRUE(
      o.out.starts_with("{\"reasoning\": \"Hm\"}\n{\"content\": \"So \"}\n"
                        "{\"tool_call\": {\"index\": 0, \"name\": \"f\"}}\n"
                        "{\"tool_call\": {\"index\": 0, " +
                        call.substr(1) +
                        "}\n"
                        "{\"tool_call\": {\"index\": 1, \"name\": \"f\"}}\n"
                        "{\"tool_call\": {\"index\": 1, \"name\": \"f\", \"arguments\": {}, \"complete\": false}}\n"
                        "{\"end\": true, \"reasoning\": \"Hm\", \"content\": \"So \", \"tool_calls\": [" +
                        call +
                        ", "
                        "{\"name\": \"f\", \"arguments\": {}, \"complete\": false}]}\n"
                        "{\"error\": "))
      << o.out;
  EXPECT_TRUE(
      o.out.ends_with("{\"content\": \"a\"}\n{\"restart\": true}\n{\"reasoning\": \"a\"}\n{\"content\": \"b\"}\n"
                      "{\"end\": true, \"reasoning\": \"a\", \"content\": \"b\", \"tool_calls\": []}\n"))
      << o.out;
}

TEST_F(Parse, takes_one_text_as_it_is) {
  write_text(folder / "tools.json", "{\"tools\": " + std::string(kTools) + "}");
  const std::string tools = (folder / "tools.json").string();
  EXPECT_EQ(
      run({"parse", pico, "--thinking", "closed", "--tools", tools}, "\xff" + kCall).out,
      "{\"reasoning\": null, \"content\": \"\xEF\xBF\xBD\", \"tool_calls\": [{\"name\": \"f\", \"arguments\": {\"n\": "
      "18446744073709551615}, \"complete\": true}]}\n");
  EXPECT_EQ(run({"parse", "--force-nonempty-content"}, "a\n").out,
            "{\"reasoning\": null, \"content\": \"a\", \"tool_calls\": []}\n");
  EXPECT_EQ(run({"parse", pico}, "a\n").out, "{\"reasoning\": \"a\", \"content\": null, \"tool_calls\": []}\n");
}

TEST_F(Parse, refuses_in_one_line) {
  expect_refused({"parse", (folder / "absent").string()}, {"absent", "no such folder"});
  expect_refused({"parse", folder.path().string()}, {"not a model folder", "config.json"});
  expect_refused({"parse", pico, (folder / "absent").string()}, {"absent"});
  expect_refused({"parse", "--stream", "0"}, {"--stream", "1 or more"});
  expect_refused({"parse", "--stream", "-1"}, {"--stream"});
  expect_refused({"parse", "--thinking", "ajar"}, {"--thinking", "open or closed", "ajar"});
  expect_refused({"parse", "--jsonl", "--thinking", "open"}, {"--thinking", "--jsonl"});
  expect_refused({"parse", "--tools", (folder / "absent").string()}, {"absent"});
  write_text(folder / "tools.json", "[{\"function\": {\"name\": 5}}]");
  expect_refused({"parse", "--tools", (folder / "tools.json").string()},
                 {"tools.json", "tool 0: 'name'", "expected string"});
  write_text(folder / "tools.json", "{}");
  expect_refused({"parse", "--tools", (folder / "tools.json").string()}, {"tools.json", "no tools"});
  write_text(folder / "tools.json", std::string(100000, '['));
  expect_refused({"parse", "--tools", (folder / "tools.json").string()}, {"tools.json"});
}

}  // namespace
}  // namespace nemotron
