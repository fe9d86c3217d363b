// The README: every console example is run and must print what the page says; every command it gives must exist.
//
// A ```console block holds "$ COMMAND" lines, each followed by the output it prints; a line "…" stands for any number
// of lines. The examples run one after the other in an empty folder that has the repository's models/, with the built
// program on the PATH.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "cli/command.h"

namespace nemotron {
namespace {

namespace fs = std::filesystem;
const fs::path kRoot = NEMOTRON_SOURCE_DIR;

using Lines = std::vector<std::string>;

Lines split_lines(std::istream& text) {
  Lines lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

// The lines of each fenced block of one language.
std::vector<Lines> blocks(const std::string& language) {
  std::ifstream file(kRoot / "README.md");
  std::vector<Lines> found;
  bool inside = false;
  for (const std::string& line : split_lines(file)) {
    if (inside && line == "```")
      inside = false;
    else if (inside)
      found.back().push_back(line);
    else if (line == "```" + language)
      inside = true, found.emplace_back();
  }
  return found;
}

struct Example {
  std::string command;
  Lines output;
};

std::vector<Example> examples() {
  std::vector<Example> found;
  for (const Lines& block : blocks("console")) {
    for (const std::string& line : block) {
      if (line.starts_with("$ "))
        found.push_back({line.substr(2), {}});
      else if (!found.empty())
        found.back().output.push_back(line);
    }
  }
  return found;
}

// An empty folder that goes when the test ends, with models/ in it.
class Workplace {
 public:
  Workplace() : path_(fs::temp_directory_path() / ("nemotron_readme_" + std::to_string(getpid()))) {
    fs::remove_all(path_);
    fs::create_directory(path_);
    fs::create_directory_symlink(kRoot / "models", path_ / "models");
  }
  ~Workplace() { fs::remove_all(path_); }
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;

  // Standard output of a shell command; fails the test where its exit code is not 0.
  Lines run(const std::string& command) const;

 private:
  fs::path path_;
};

Lines Workplace::run(const std::string& command) const {
  const std::string directory = fs::path(NEMOTRON_PROGRAM).parent_path();
  const std::string line =
      "cd '" + path_.string() + "' && PATH='" + directory + "':$PATH && (" + command + ") < /dev/null";
  FILE* pipe = popen(line.c_str(), "r");
  if (!pipe) throw std::runtime_error("no shell");
  std::stringstream output;
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) output.write(buffer, std::streamsize(n));
  EXPECT_EQ(pclose(pipe), 0) << command;
  return split_lines(output);
}

// Whether `lines` from `i` on match `pattern` from `j` on.
bool matches(const Lines& lines, const Lines& pattern, size_t i = 0, size_t j = 0) {
  if (j == pattern.size()) return i == lines.size();
  if (pattern[j] != "…") return i < lines.size() && lines[i] == pattern[j] && matches(lines, pattern, i + 1, j + 1);
  for (; i <= lines.size(); ++i)
    if (matches(lines, pattern, i, j + 1)) return true;
  return false;
}

std::string join(const Lines& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

TEST(readme, examples_print_what_the_page_says) {
  const Workplace workplace;
  size_t shown = 0;
  for (const Example& example : examples()) {
    const Lines output = workplace.run(example.command);
    EXPECT_TRUE(matches(output, example.output)) << "$ " << example.command << "\n" << join(output);
    shown += example.output.size();
  }
  EXPECT_GT(shown, 5u);
}

TEST(readme, shell_commands_are_executable_files_of_the_repository) {
  int count = 0;
  for (const Lines& block : blocks("sh")) {
    for (const std::string& line : block) {
      const fs::path program = kRoot / line.substr(0, line.find(' '));
      EXPECT_TRUE(fs::is_regular_file(program)) << line;
      EXPECT_NE(fs::status(program).permissions() & fs::perms::owner_exec, fs::perms::none) << line;
      ++count;
    }
  }
  EXPECT_GE(count, 2);
}

TEST(readme, lists_every_command_of_the_program_and_no_other) {
  std::ifstream file(kRoot / "README.md");
  std::vector<std::string> listed;
  for (const std::string& line : split_lines(file)) {
    const std::string start = "| `nemotron ";
    if (line.starts_with(start))
      listed.push_back(line.substr(start.size(), line.find_first_of(" `", start.size()) - start.size()));
  }
  std::vector<std::string> real;
  for (const cli::Command& command : cli::commands()) real.push_back(command.name);
  std::sort(listed.begin(), listed.end());
  std::sort(real.begin(), real.end());
  EXPECT_EQ(listed, real);
}

TEST(readme, links_lead_to_files) {
  for (const char* page : {"README.md", "docs/tour.md", "docs/decisions.md", "docs/log.md"}) {
    std::ifstream file(kRoot / page);
    ASSERT_TRUE(file) << page;
    for (const std::string& line : split_lines(file)) {
      for (size_t at = line.find("]("); at != line.npos; at = line.find("](", at + 1)) {
        const std::string target = line.substr(at + 2, line.find(')', at) - at - 2);
        const bool elsewhere = target.find("://") != target.npos;
        EXPECT_TRUE(elsewhere || fs::exists((kRoot / page).parent_path() / target)) << page << ": " << target;
      }
    }
  }
}

// The tour names files as `model/moe.cc`; a reader must find them.
TEST(tour, names_files_that_exist) {
  std::ifstream file(kRoot / "docs/tour.md");
  int count = 0;
  for (const std::string& line : split_lines(file)) {
    for (size_t at = line.find('`'); at != line.npos;) {
      const size_t end = line.find('`', at + 1);
      if (end == line.npos) break;
      const std::string name = line.substr(at + 1, end - at - 1);
      at = line.find('`', end + 1);
      if (!name.ends_with(".h") && !name.ends_with(".cc")) continue;
      EXPECT_TRUE(fs::exists(kRoot / "src" / name) || fs::exists(kRoot / name)) << name;
      ++count;
    }
  }
  EXPECT_GT(count, 10);
}

}  // namespace
}  // namespace nemotron
