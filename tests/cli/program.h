// The program as a process, for tests of the commands.

#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "folders.h"

namespace nemotron {

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Outcome {
  int code = -1;
  std::string out, err;
};

class Program : public ::testing::Test {
 protected:
  const std::string pico = NEMOTRON_SOURCE_DIR "/models/pico";
  TemporaryFolder folder;

  // Runs the program with `input` as its standard input; arguments hold no single quotes.
  Outcome run(const std::vector<std::string>& arguments, const std::string& input = "") {
    std::string command = "'" NEMOTRON_PROGRAM "'";
    for (const std::string& a : arguments) command += " '" + a + "'";
    write_text(folder / "in", input);
    const auto file = [&](const char* name) { return "'" + (folder / name).string() + "'"; };
    command += " < " + file("in") + " > " + file("out") + " 2> " + file("err");
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_text(folder / "out"), read_text(folder / "err")};
  }

  // A refusal: exit code 2, one line on standard error that holds `words`, nothing on standard output.
  void expect_refused(const std::vector<std::string>& arguments, const std::vector<std::string>& words,
                      const std::string& input = "") {
    const Outcome o = run(arguments, input);
    EXPECT_EQ(o.code, 2) << o.err;
    EXPECT_EQ(o.out, "");
    EXPECT_EQ(std::count(o.err.begin(), o.err.end(), '\n'), 1) << o.err;
    EXPECT_TRUE(o.err.starts_with("nemotron: ")) << o.err;
    for (const std::string& word : words) EXPECT_NE(o.err.find(word), std::string::npos) << word << " in: " << o.err;
  }
};

}  // namespace nemotron
