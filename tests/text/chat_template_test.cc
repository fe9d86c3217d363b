// Chat templates: found in a folder, given their variables, and rendered byte for byte as transformers renders them.

#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "golden.h"

namespace nemotron {
namespace {

namespace fs = std::filesystem;

jinja::RenderOptions options() { return {.now = jinja::parse_time("2026-11-21T09:05:07", "test")}; }

// A folder with the files given to it.
class Folder : public testing::Test {
 protected:
  Folder() {
    std::string name = (fs::temp_directory_path() / "nemotron-template-XXXXXX").string();
    if (!mkdtemp(name.data())) throw Error({.what = "cannot make a temporary folder"});
    path = name;
  }
  ~Folder() override {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((path / name).parent_path());
    std::ofstream(path / name, std::ios::binary) << text;
  }
  std::string render(const std::string& request) const {
    return ChatTemplate::from_folder(path).render(parse_conversation(parse_json(request, "request"), "request"),
                                                  options());
  }
  fs::path path;
};

class Templates : public testing::TestWithParam<std::string> {};

TEST_P(Templates, render_as_transformers_does) {
  const std::string source = repository_file("tests/data/text/templates/" + GetParam() + ".jinja");
  const ChatTemplate chat_template = ChatTemplate::from_source(source, GetParam(), "");
  for (const Json& line : golden_lines("rendered/" + GetParam() + ".jsonl")) {
    const Conversation conversation = parse_conversation(line, GetParam());
    if (const Json* rendered = line.find("rendered")) {
      EXPECT_EQ(chat_template.render(conversation, options()), rendered->string()) << line.dump().substr(0, 300);
      continue;
    }
    const Json& wanted = member(line, "error");
    try {
      chat_template.render(conversation, options());
      ADD_FAILURE() << "no error: " << wanted.dump();
    } catch (const jinja::TemplateError& error) {
      EXPECT_EQ(error.kind_name(), member(wanted, "kind").string());
      EXPECT_EQ(error.message, member(wanted, "message").string());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(ChatTemplate, Templates,
                         testing::Values("dates_and_defaults", "lists", "loops", "macros", "multimodal",
                                         "nemotron_like", "strict_roles", "strings", "types", "whitespace"),
                         [](const auto& name) { return name.param; });

TEST(ChatTemplate, the_prompts_of_pico_are_byte_equal) {
  const ChatTemplate chat_template = ChatTemplate::from_folder(NEMOTRON_SOURCE_DIR "/models/pico");
  std::istringstream lines(repository_file("tests/data/pico_cases.jsonl"));
  size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const Json json = parse_json(line, "pico_cases");
    Conversation conversation = parse_conversation(json, "pico_cases");
    conversation.kwargs = member(json, "template_kwargs");
    conversation.add_generation_prompt = true;
    EXPECT_EQ(chat_template.render(conversation, options()), member(json, "prompt_text").string());
  }
  EXPECT_GT(count, 10u);
}

TEST(ChatTemplate, reasoning_is_found_under_each_of_its_names) {
  const ChatTemplate keys = ChatTemplate::from_source("{{ messages[0] }}", "t", "");
  const auto seen = [&](const std::string& message) {
    const Json request = parse_json("{\"messages\": [" + message + "]}", "request");
    return keys.render(parse_conversation(request, "request"), options());
  };
  EXPECT_EQ(seen(R"({"role": "a", "reasoning": "r"})"),
            "{'thinking': 'r', 'role': 'a', 'reasoning': 'r', 'reasoning_content': 'r'}");
  EXPECT_EQ(seen(R"({"reasoning_content": null, "thinking": "t"})"), "{'thinking': 't', 'reasoning_content': 't'}");
  EXPECT_EQ(seen(R"({"role": "a", "reasoning_content": "c", "thinking": "t"})"),
            "{'thinking': 't', 'role': 'a', 'reasoning_content': 'c'}");
  EXPECT_EQ(seen(R"({"role": "a", "thinking": null})"), "{'role': 'a', 'thinking': None}");
}

TEST_F(Folder, a_file_of_its_own_comes_before_the_configuration) {
  const std::string request = R"({"messages": []})", tools = R"({"messages": [], "tools": []})";
  EXPECT_FALSE(ChatTemplate::present(path));
  EXPECT_NE(message_of([&] { render(request); }).find("no chat template"), std::string::npos);
  write("chat_template.json", R"({"chat_template": "processor"})");
  EXPECT_EQ(render(request), "processor");
  write("tokenizer_config.json", R"({"chat_template": "config"})");
  EXPECT_EQ(render(request), "config");
  write("tokenizer_config.json",
        R"({"chat_template": [{"name": "default", "template": "one"}, {"name": "tool_use", "template": "two"}]})");
  EXPECT_EQ(render(request) + render(tools), "onetwo");
  write("additional_chat_templates/tool_use.jinja", "only");
  EXPECT_NE(message_of([&] { render(request); }).find("no default chat template"), std::string::npos);
  EXPECT_EQ(render(tools), "only");
  write("chat_template.jinja", "file\n");
  EXPECT_EQ(render(request) + render(tools), "fileonly");
  EXPECT_TRUE(ChatTemplate::present(path));
}

TEST_F(Folder, special_tokens_are_variables_that_the_request_may_replace) {
  write("chat_template.jinja", "{{ bos_token }}|{{ eos_token }}|{{ image_token }}|{{ add_bos_token }}|{{ boi }}");
  write("special_tokens_map.json", R"({"bos_token": "map", "eos_token": {"content": "end"}})");
  write("tokenizer_config.json",
        R"({"bos_token": "<s>", "eos_token": null, "image_token": "<img>", "add_bos_token": true,
    "extra_special_tokens": {"boi": "<boi>"}})");
  EXPECT_EQ(render(R"({"messages": []})"), "map|end|<img>||<boi>");
  write("tokenizer_config.json", R"({"bos_token": {"content": "<s>"}, "added_tokens_decoder": {}})");
  EXPECT_EQ(render(R"({"messages": []})"), "<s>||||");
  EXPECT_EQ(render(R"({"messages": [], "kwargs": {"bos_token": "B", "eos_token": "E"}})"), "B|E|||");
}

TEST_F(Folder, a_template_that_does_not_parse_fails_where_it_is_used) {
  write("chat_template.jinja", "fine");
  write("additional_chat_templates/tool_use.jinja", "\n {% nonsense %}");
  EXPECT_EQ(render(R"({"messages": []})"), "fine");
  EXPECT_NE(message_of([&] {
              render(R"({"messages": [], "tools": []})");
            }).find("tool_use.jinja:2:5: Encountered unknown tag"),
            std::string::npos);
}

TEST(ChatTemplate, a_request_of_the_wrong_form_is_refused_by_field) {
  const auto refusal = [](const char* request) {
    return message_of([&] { parse_conversation(parse_json(request, "r"), "r"); });
  };
  EXPECT_EQ(refusal("[]"), "r: a conversation: expected object, found array");
  EXPECT_EQ(refusal("{}"), "r: field 'messages': expected array, found null");
  EXPECT_EQ(refusal(R"({"messages": [{}, 1]})"), "r: field 'messages[1]': expected object, found integer");
  EXPECT_EQ(refusal(R"({"messages": [], "tools": {}})"), "r: field 'tools': expected array, found object");
  EXPECT_EQ(refusal(R"({"messages": [], "documents": ["d"]})"),
            "r: field 'documents[0]': expected object, found string");
  EXPECT_EQ(refusal(R"({"messages": [], "kwargs": []})"), "r: field 'kwargs': expected object, found array");
  EXPECT_EQ(refusal(R"({"messages": [], "add_generation_prompt": 1})"),
            "r: field 'add_generation_prompt': expected boolean, found integer");
  EXPECT_NE(refusal(R"({"messages": [], "kwargs": {"tools": 1}})").find("'tools'"), std::string::npos);
}

}  // namespace
}  // namespace nemotron
