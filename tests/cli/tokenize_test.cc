// The tokenize command: its answers, its exit codes, and nothing on standard output when it fails.

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "data.h"

namespace nemotron {
namespace {

struct Outcome {
  int code;
  std::string out, error;
};

// Runs `nemotron tokenize ARGUMENTS` with `input` as standard input.
Outcome tokenize(const std::string& arguments, const std::string& input) {
  std::string folder = (std::filesystem::temp_directory_path() / "nemotron-tokenize-XXXXXX").string();
  if (!mkdtemp(folder.data())) throw Error({.what = "cannot make a temporary folder"});
  std::ofstream(folder + "/in", std::ios::binary) << input;
  const std::string command = "'" NEMOTRON_PROGRAM "' tokenize " + arguments + " < " + folder + "/in > " + folder +
                              "/out 2> " + folder + "/error";
  const int status = std::system(command.c_str());
  const auto content = [&](const char* name) {
    std::ifstream file(folder + "/" + name, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  Outcome outcome{WIFEXITED(status) ? WEXITSTATUS(status) : -1, content("out"), content("error")};
  std::filesystem::remove_all(folder);
  return outcome;
}

const std::string kTekken = NEMOTRON_SOURCE_DIR "/tests/data/text/tokenizers/tekken_form";
const std::string kLlama = NEMOTRON_SOURCE_DIR "/tests/data/text/tokenizers/llama3_form";

TEST(Tokenize, writes_the_ids_of_standard_input_as_one_list) {
  EXPECT_EQ(tokenize(kTekken, "<think>\n").out, "[12, 74]\n");
  EXPECT_EQ(tokenize(kTekken, "").out, "[]\n");
  EXPECT_EQ(tokenize(kLlama + " --special", "a").out, "[4000, 97]\n");
  EXPECT_EQ(tokenize(kTekken, std::string("\0\xFF", 2)).out, "[64, 303, 255, 253]\n");
}

TEST(Tokenize, answers_each_line_with_a_line) {
  const Outcome lines =
      tokenize(kTekken + " --jsonl", "{\"text\": \"a\\u2028\\n\"}\n{\"text_b64\": \"/w==\"}\n{\"text\": \"\"}");
  EXPECT_EQ(lines.out, "{\"ids\": [161, 2422, 232, 74]}\n{\"ids\": [303, 255, 253]}\n{\"ids\": []}\n");
  EXPECT_EQ(lines.code, 0);
}

TEST(Tokenize, goes_back) {
  EXPECT_EQ(tokenize(kTekken + " --decode", "{\"ids\": [1, 12, 161]}\n[161]\n").out,
            "{\"text\": \"<s><think>a\"}\n{\"text\": \"a\"}\n");
  EXPECT_EQ(tokenize(kTekken + " --decode --skip-special", "{\"ids\": [1, 12, 161]}").out,
            "{\"text\": \"<think>a\"}\n");
  const std::string text = "Straße 中文 <|im_end|>\n";
  EXPECT_EQ(tokenize(kTekken + " --decode", tokenize(kTekken, text).out).out,
            "{\"text\": \"Straße 中文 <|im_end|>\\n\"}\n");
}

TEST(Tokenize, fails_with_one_line_that_says_why) {
  const std::tuple<std::string, std::string, const char*> faults[] = {
      {"/nonexistent", "a", "/nonexistent/tokenizer.json"},
      {kTekken + " --jsonl", "{\"text\": 3}", "line 1: no text"},
      {kTekken + " --jsonl", "{\"txt\": \"a\"}", "line 1: no text"},
      {kTekken + " --jsonl", "{\"text_b64\": \"/w=\"}", "line 1: malformed base64"},
      {kTekken + " --jsonl", "{\"text\": \"\\ud800\"}", "line 1: malformed JSON"},
      {kTekken + " --jsonl", std::string(100000, '[') + std::string(100000, ']'), "nested deeper"},
      {kTekken + " --decode", "{\"ids\": [6064]}", "no token id: expected an integer from 0 to 6063, found 6064"},
      {kTekken + " --decode", "{\"ids\": [-1]}", "no token id"},
      {kTekken + " --decode", "{\"ids\": [1.5]}", "no token id"},
      {kTekken + " --decode", "{\"ids\": 3}", "no ids"},
      {kTekken + " --skip-special", "", "--decode"},
      {kTekken + " --unknown", "", "--unknown"},
      {"", "", "DIR"},
  };
  for (const auto& [arguments, input, reason] : faults) {
    const Outcome outcome = tokenize(arguments, input);
    EXPECT_EQ(outcome.code, 2) << arguments;
    EXPECT_EQ(outcome.out, "") << arguments;
    EXPECT_NE(outcome.error.find(reason), std::string::npos) << arguments << ": " << outcome.error;
    EXPECT_EQ(outcome.error.find('\n'), outcome.error.size() - 1) << outcome.error;
  }
  const Outcome second = tokenize(kTekken + " --jsonl", "{\"text\": \"a\"}\n\n");
  EXPECT_EQ(second.code, 2);
  EXPECT_EQ(second.out, "{\"ids\": [161]}\n");
  EXPECT_NE(second.error.find("line 2"), std::string::npos) << second.error;
}

}  // namespace
}  // namespace nemotron
