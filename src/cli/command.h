// The commands of the program: a table of names, and for each a function that declares its options.

#pragma once

#include <functional>
#include <span>

namespace CLI {
class App;
}

namespace nemotron::cli {

// Declares the options of one command on `app` and returns what runs once they are parsed. The action returns the exit
// code: 0 done. Errors are thrown as Error (exit code 2, one line on standard error, nothing on standard output).
using Define = std::function<int()> (*)(CLI::App& app);

struct Command {
  const char* group;  // heading in `nemotron --help`
  const char* name;
  const char* summary;  // one line for `nemotron --help`
  const char* example;  // shown at the end of `nemotron NAME --help`
  Define define;
};

std::span<const Command> commands();

// The whole program; returns its exit code.
int run(int argc, char** argv);

}  // namespace nemotron::cli
