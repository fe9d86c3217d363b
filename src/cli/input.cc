// Input: libedit in a terminal, getline otherwise.

#include "cli/input.h"

#include <editline/readline.h>

#include <clocale>
#include <cstdlib>
#include <iostream>
#include <memory>

namespace nemotron::cli {

Input::Input(bool terminal) : terminal_(terminal) {
  if (!terminal_) return;
  // libedit splits what is typed into characters by the locale; one without multi-byte characters gives way to UTF-8.
  if (!std::setlocale(LC_CTYPE, "") || MB_CUR_MAX == 1) std::setlocale(LC_CTYPE, "C.UTF-8");
  const char* home = std::getenv("HOME");
  if (home) history_ = std::string(home) + "/.nemotron_history";
  using_history();
  stifle_history(1000);
  if (!history_.empty()) read_history(history_.c_str());
}

Input::~Input() {
  if (!history_.empty()) write_history(history_.c_str());  // a history that cannot be kept is no reason to complain
}

bool Input::read(const std::string& prompt, std::string& text) {
  text.clear();
  std::string line;
  while (read_line(text.empty() ? prompt : ". ", line)) {
    const bool more = line.ends_with('\\');
    if (more) line.pop_back();
    text += line;
    if (!more) return true;
    text += '\n';
  }
  return !text.empty();
}

bool Input::read_line(const std::string& prompt, std::string& line) {
  if (!terminal_) return static_cast<bool>(std::getline(std::cin, line));
  const std::unique_ptr<char, void (*)(void*)> typed(readline(prompt.c_str()), std::free);
  if (!typed) return false;
  line = typed.get();
  if (!line.empty()) add_history(line.c_str());
  return true;
}

}  // namespace nemotron::cli
