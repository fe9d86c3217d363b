// Lines from a terminal, with editing and history, or plainly from a pipe.

#pragma once

#include <string>

namespace nemotron::cli {

class Input {
 public:
  explicit Input(bool terminal);
  ~Input();
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  // The next message, lines that end in a backslash joined to the next; false at the end of input.
  bool read(const std::string& prompt, std::string& text);

 private:
  bool read_line(const std::string& prompt, std::string& line);

  bool terminal_;
  std::string history_;
};

}  // namespace nemotron::cli
