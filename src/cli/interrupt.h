// Ctrl-C as a question that loops may ask.

#pragma once

namespace nemotron::cli {

// While one exists, SIGINT is noted in place of ending the program; from the third on it does what it did before.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  static bool requested();
};

}  // namespace nemotron::cli
