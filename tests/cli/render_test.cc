// The render command: the prompt and nothing else, one answer a line, and refusals.

#include <gtest/gtest.h>

#include "program.h"

namespace nemotron {
namespace {

using Render = Program;

TEST_F(Render, writes_the_prompt_and_nothing_else) {
  const Outcome o =
      run({"render", pico, "-"}, R"({"messages": [{"role": "user", "content": "Hi"}], "add_generation_prompt": true})");
  EXPECT_EQ(o.code, 0) << o.err;
  EXPECT_EQ(o.out, "<|im_start|>system\n<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n");
}

TEST_F(Render, answers_each_line_split_at_newlines_only) {
  write_text(folder / "t.jinja",
             "{{ messages[0].content }}{{ messages[0].n + 1 if messages[0].n }}{% if tools %}{{ raise_exception('no "
             "tools') }}{% endif %}");
  const Outcome o =
      run({"render", "--template", (folder / "t.jinja").string(), "--jsonl", "-"},
          "{\"messages\": [{\"content\": \"a\\u0000\xE2\x80\xA8\x62\"}]}\n\n"
          "{\"messages\": [{\"content\": \"c\"}], \"tools\": [{}]}\n{\"messages\": [{\"n\": \"x\"}]}\nnonsense\n"
          "{\"messages\": [{\"content\": \"last\"}]}");
  EXPECT_EQ(o.code, 0) << o.err;
  std::vector<std::string> lines;
  for (size_t at = 0, end; (end = o.out.find('\n', at)) != o.out.npos; at = end + 1)
    lines.push_back(o.out.substr(at, end - at));
  ASSERT_EQ(lines.size(), 5u) << o.out;
  EXPECT_EQ(lines[0], "{\"rendered\": \"a\\u0000\xE2\x80\xA8\x62\"}");
  EXPECT_EQ(lines[1], R"({"error": {"kind": "raise_exception", "message": "no tools"}})");
  EXPECT_TRUE(lines[2].starts_with(R"({"error": {"kind": "value", "message": "can only concatenate str)")) << lines[2];
  EXPECT_TRUE(lines[3].starts_with(R"({"error": {"kind": "value", )")) << lines[3];
  EXPECT_EQ(lines[4], R"({"rendered": "last"})");
}

TEST_F(Render, takes_the_time_and_the_special_tokens_of_a_folder) {
  write_text(folder / "t.jinja", "{{ eos_token }} {{ strftime_now('%d %B %Y') }}");
  const std::string source = (folder / "t.jinja").string();
  EXPECT_EQ(run({"render", pico, "-", "--template", source, "--now", "2026-11-21T09:05:07"}, R"({"messages": []})").out,
            "<|im_end|> 21 November 2026");
  EXPECT_EQ(run({"render", "-", "--template", source, "--now", "2026-11-21T09:05:07"}, R"({"messages": []})").out,
            " 21 November 2026");
}

TEST_F(Render, refuses_in_one_line) {
  const std::string request = R"({"messages": []})";
  write_text(folder / "t.jinja", "a\n {{ raise_exception('told so') }}");
  expect_refused({"render", "--template", (folder / "t.jinja").string(), "-"}, {"t.jinja:2:20", "told so"}, request);
  expect_refused({"render", folder.path().string(), "-"}, {"no chat template", "--template"}, request);
  expect_refused({"render", pico}, {"no conversation"});
  expect_refused({"render", pico, (folder / "absent").string()}, {"absent"});
  expect_refused({"render", pico, "-"}, {"messages", "expected array"}, "{}");
  expect_refused({"render", pico, "-"}, {"-"}, "{\"messages\"");
  expect_refused({"render", pico, "-", "--now", "yesterday"}, {"--now", "yesterday", "2026-11-21T09:05:07"}, request);
}

}  // namespace
}  // namespace nemotron
